/**
 * The states of a guest's machine (contract §6), as names, once for everybody. Which event leads from
 * one to another is the supervisor's; which request is allowed in which is the policy's.
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
