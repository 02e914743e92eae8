// What the doctor finds: one sentence for each thing it looked at, and what to do where that is not as it should be.

import { messageOf, Problem } from '../../base/problem.ts'

/** In the order they are told. */
export type CheckName =
  | 'config'
  | 'secrets'
  | 'invite'
  | 'daemon'
  | 'database'
  | 'workers'
  | 'disk'
  | 'names'
  | 'receive'
  | 'send'
  | 'provider'
  | 'room'
  | 'letter'
  | 'clock'
  | 'sender'
  | 'stun'
  | 'nat'

export type Finding =
  | { readonly check: CheckName; readonly outcome: 'ok'; readonly text: string }
  | {
      readonly check: CheckName
      readonly outcome: 'warning' | 'fault'
      readonly text: string
      readonly remedy: string
    }

/** Hears each finding as it is made, and what is being looked at meanwhile. */
export type FindingsList = {
  readonly tell: (finding: Finding) => void
  readonly progress: (what: string) => void
}

export function ok(check: CheckName, text: string): Finding {
  return { check, outcome: 'ok', text }
}

export function warning(check: CheckName, text: string, remedy: string): Finding {
  return { check, outcome: 'warning', text, remedy }
}

export function fault(check: CheckName, text: string, remedy: string): Finding {
  return { check, outcome: 'fault', text, remedy }
}

/** What was thrown, as a fault: a Problem has its remedy with it. */
export function faultOf(check: CheckName, thrown: unknown): Finding {
  if (thrown instanceof Problem) return fault(check, thrown.message, thrown.remedy)
  return fault(check, `This could not be looked at: ${messageOf(thrown)}.`, 'Please report this.')
}
