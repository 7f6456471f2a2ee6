/** IPv4 networks as numbers: where one begins, how long its prefix is, and whether it lies in another. Pure. */

export interface IPv4Range {
  readonly first: number;
  readonly prefix: number;
}

/** @param network `a.b.c.d/n`, as the policy's schema lets pass */
export function rangeOf(network: string): IPv4Range {
  const [address = "", prefix = ""] = network.split("/");
  const number = address.split(".").reduce((all, part) => all * 256 + Number(part), 0);
  return { first: firstOf(number, Number(prefix)), prefix: Number(prefix) };
}

/** Whether every address of the network is one of the other's. */
export function liesIn(one: IPv4Range, other: IPv4Range): boolean {
  return one.prefix >= other.prefix && firstOf(one.first, other.prefix) === other.first;
}

/** The first address of the network of that prefix around an address. */
function firstOf(address: number, prefix: number): number {
  const size = 2 ** (32 - prefix);
  return Math.floor(address / size) * size;
}
