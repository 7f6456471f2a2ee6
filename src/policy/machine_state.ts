/**
 * The states of a guest's machine (contract §6), as names. Which event leads from one to another is
 * the supervisor's; which request is allowed in which is decided in authorize.ts.
 */

export const MACHINE_STATES = [
  "defined",
  "starting",
  "running",
  "paused",
  "stopping",
  "stopped",
  "suspending",
  "suspended",
  "resuming",
  "failed",
] as const;

export type MachineState = typeof MACHINE_STATES[number];
