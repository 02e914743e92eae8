// The findings of the doctor: one sentence for each check, and a remedy unless it is ok.

import { messageOf, Problem } from '../../base/problem.ts'

/** In the order in which they are printed. */
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

export type FindingsPrinter = {
  readonly print: (finding: Finding) => void
  /** Shows what is being checked now. */
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

/** Converts a thrown value to a fault. A Problem has its own remedy. */
export function faultOf(check: CheckName, thrown: unknown): Finding {
  if (thrown instanceof Problem) return fault(check, thrown.message, thrown.remedy)
  return fault(check, `This could not be checked: ${messageOf(thrown)}.`, 'Please report this.')
}
