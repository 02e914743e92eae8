// The log of a daemon on standard error. Journals and log collectors get one JSON object a line, a terminal gets a short
// line. Addresses are masked, and secrets are never logged.

import type { Logger } from 'pino'
import { maskText, maskTexts } from '../wording/mask-addresses.ts'
import type { Line } from '../wording/numbers-text.ts'

export type LogLevel = 'silent' | 'error' | 'warn' | 'info' | 'debug'

export type LogOptions = {
  /** `auto` is `info` with `--quiet`, and otherwise `silent`, as standard output says the same. */
  readonly level: LogLevel | 'auto'
  readonly isQuiet: boolean
  /** Returns a sentence for an event, or null. */
  readonly describe: (event: object) => Line | null
}

export type Log = {
  /** Logs an event, in the form in which it is printed. */
  readonly record: (printed: object) => void
  /** Logs a message that is not an event. */
  readonly notice: (text: string) => void
}

/** Events whose level is not `info`. Events that come with every letter are `debug`. */
const levels: Readonly<Record<string, Exclude<LogLevel, 'silent'>>> = {
  trouble: 'error',
  'not-reloaded': 'error',
  notice: 'warn',
  unsent: 'warn',
  budget: 'warn',
  unanswered: 'warn',
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

/** How much is buffered for a slow reader. Beyond it lines are lost, so that the daemon never waits. */
const maxWaitingBytes = 1_000_000

export async function openLog({ level, isQuiet, describe }: LogOptions): Promise<Log> {
  const isTerminal = process.stderr.isTTY === true
  const chosen = level === 'auto' ? (isQuiet ? 'info' : 'silent') : level
  if (chosen === 'silent') {
    return { record: () => {}, notice: (text) => void process.stderr.write(`peerpost: ${text}\n`) }
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
    record: (printed) => {
      const { event, at: _, ...fields } = printed as { readonly event: string; readonly at?: string }
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
