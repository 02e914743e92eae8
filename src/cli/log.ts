// The log of a daemon on standard error: for journals and collectors one JSON object a line, without whole addresses
// and without secrets; for a person at a terminal a short line.

import type { Logger } from 'pino'
import { maskText, maskTexts } from '../wording/mask-addresses.ts'
import type { Line } from '../wording/numbers-text.ts'

export type LogLevel = 'silent' | 'error' | 'warn' | 'info' | 'debug'

export type LogOptions = {
  /** `auto` is `info` where standard output says nothing (`--quiet`), and nothing where it says the same. */
  readonly level: LogLevel | 'auto'
  readonly isQuiet: boolean
  /** A sentence for an event, if there is one. */
  readonly describe: (event: object) => Line | null
}

export type Log = {
  /** For every event, as it is printed. */
  readonly tell: (told: object) => void
  /** For what is no event but should be known. */
  readonly notice: (text: string) => void
}

/** Events whose level is not `info`; what comes for each letter is for whoever looks closely. */
const levels: Readonly<Record<string, Exclude<LogLevel, 'silent'>>> = {
  ...{
    trouble: 'error',
    'not-reloaded': 'error',
    notice: 'warn',
    unsent: 'warn',
    budget: 'warn',
    unanswered: 'warn',
  },
  letter: 'debug',
  sent: 'debug',
  served: 'debug',
  requested: 'debug',
  replied: 'debug',
  introduced: 'debug',
  punching: 'debug',
  path: 'debug',
  waiting: 'debug',
}

/** What waits for a reader who is slow; beyond it lines are lost rather than the daemon held up. */
const maxWaitingBytes = 1_000_000

export async function openLog({ level, isQuiet, describe }: LogOptions): Promise<Log> {
  const isTerminal = process.stderr.isTTY === true
  const chosen = level === 'auto' ? (isQuiet ? 'info' : 'silent') : level
  if (chosen === 'silent') {
    return { tell: () => {}, notice: (text) => void process.stderr.write(`peerpost: ${text}\n`) }
  }
  const { pino, stdTimeFunctions } = await import('pino')
  const logger: Logger = pino(
    {
      level: chosen,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    isTerminal
      ? { write: (line: string) => void process.stderr.write(prettyLine(line)) }
      : pino.destination({ fd: 2, sync: false, maxLength: maxWaitingBytes }),
  )
  return {
    notice: (text) => logger.warn(maskText(text)),
    tell: (told) => {
      const { event, at: _, ...fields } = told as { readonly event: string; readonly at?: string }
      const known = levels[event]
      const isLost = event === 'mailbox' && 'state' in fields && fields.state === 'disconnected'
      const level = known ?? (isLost ? 'warn' : 'info')
      if (!logger.isLevelEnabled(level)) return
      const masked = maskTexts({ event, ...fields })
      logger[level](masked, describe(masked)?.text ?? event)
    },
  }
}

function prettyLine(line: string): string {
  const { time, level, msg } = JSON.parse(line) as { readonly [key: string]: unknown }
  return `${String(time).slice(11, 19)} ${String(level).padEnd(5)} ${msg}\n`
}
