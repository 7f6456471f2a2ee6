/**
 * A name for what is set aside: the first one that nothing has, so that what was set aside before stays.
 * It looks, and changes nothing.
 */

import type { Host } from "./host/port.ts";

/** @param nameOf the name of the first, second, … try */
export function freeName(host: Pick<Host, "lstat">, nameOf: (count: number) => string): string {
  for (let count = 1;; count++) {
    const name = nameOf(count);
    if (host.lstat(name) === null) return name;
  }
}

/** The same for what is set aside beside its own place: `<path>.aside`, `<path>.aside.2` and so on. */
export function freeAside(host: Pick<Host, "lstat">, path: string): string {
  return freeName(host, (count) => `${path}.aside${count === 1 ? "" : `.${count}`}`);
}
