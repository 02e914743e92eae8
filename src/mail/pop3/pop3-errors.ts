// Turns the refusal of a POP3 server into a Problem with a remedy, by its response code (RFC 2449 §8, RFC 3206) or
// its text.

import { Problem } from '../../base/problem.ts'
import { type Pop3Url, serverName } from '../mail-url.ts'
import { clearTextProblem, loginProblem, serverProblem } from '../server-errors.ts'

/** Codes of temporary refusals. IN-USE: another program has the maildrop open. */
const temporary = new Set(['IN-USE', 'LOGIN-DELAY', 'SYS/TEMP'])

export class Pop3Refusal extends Error {
  readonly code: string

  constructor(code: string, text: string) {
    super(text)
    this.code = code
  }

  static of(text: string): Pop3Refusal {
    return new Pop3Refusal(
      /^\[([A-Z0-9/-]{1,40})\]/i.exec(text)?.[1]?.toUpperCase() ?? '',
      text || 'it refused',
    )
  }

  /** Many servers send no code. Then the password is wrong, unless the text says something else. */
  static atLogin(text: string): Pop3Refusal {
    const refusal = Pop3Refusal.of(text)
    if (refusal.code !== '') return refusal
    if (/\block(?:ed)?\b|in use|busy|another session/i.test(text) && !/account/i.test(text)) {
      return new Pop3Refusal('IN-USE', text)
    }
    if (/too (?:often|frequent|many|soon)|login delay|minutes/i.test(text)) {
      return new Pop3Refusal('LOGIN-DELAY', text)
    }
    return new Pop3Refusal('AUTH', text)
  }

  get isTemporary(): boolean {
    return temporary.has(this.code)
  }
}

export function pop3Problem(url: Pop3Url, error: unknown): Problem {
  if (!(error instanceof Pop3Refusal)) return serverProblem('POP3', url, error)
  if (error.code === 'AUTH') return loginProblem('POP3', url, error)
  const server = `The POP3 server ${serverName(url)}`
  const cause = { cause: error }
  switch (error.code) {
    case 'IN-USE': {
      const remedy = 'It is tried again by itself. Close other mail programs that stay logged in.'
      return new Problem(
        'mail-server',
        `${server} has the mailbox locked for another program.`,
        remedy,
        cause,
      )
    }
    case 'LOGIN-DELAY': {
      const remedy = 'It is polled less often from now on. ?poll=SECONDS in the URL sets the interval.'
      return new Problem('mail-server', `${server} is polled more often than it allows.`, remedy, cause)
    }
    case 'NO-IDS':
    case 'TOO-MANY': {
      const remedy = 'Use IMAP there, or another mailbox.'
      return new Problem('mail-server', `${server} cannot be used: ${error.message}.`, remedy, cause)
    }
    default: {
      const what = `${server} refused: ${error.message.slice(0, 200).replace(/\.+$/, '')}.`
      return new Problem(
        'mail-server',
        what,
        'It is tried again. If it lasts, ask the owner of the server.',
        cause,
      )
    }
  }
}

export function noTls(url: Pop3Url): Problem {
  return clearTextProblem('POP3', url)
}

/** Whether the refusal is only temporary. */
export function isTemporary(problem: Problem): boolean {
  return problem.cause instanceof Pop3Refusal && problem.cause.isTemporary
}

/** Whether we log in too often. */
export function isLoginDelay(problem: Problem): boolean {
  return problem.cause instanceof Pop3Refusal && problem.cause.code === 'LOGIN-DELAY'
}
