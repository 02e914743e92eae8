// `peerpost doctor`: checks everything that an agent or a host needs, and prints remedies.

import { Problem } from '../base/problem.ts'
import { loadSodium } from '../runtime/sodium.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { count } from '../wording/numbers-text.ts'
import { runAllChecks } from './doctor/all-checks.ts'
import type { Finding, FindingsPrinter } from './doctor/findings.ts'
import { paint } from './output.ts'
import { untilStopped } from './shutdown.ts'

export type DoctorOptions = { readonly config: string; readonly json?: boolean }

/** A server with greylisting delays the first letter by minutes. Waiting longer would show nothing new. */
const letterMs = 60_000

export async function runDoctor({ config, json }: DoctorOptions): Promise<void> {
  const { stopped } = untilStopped()
  const crypto = await loadSodium()
  const findings: Finding[] = []
  const printer = json ? jsonPrinter() : textPrinter()
  await runAllChecks(
    { configFile: config, environment: process.env, clock: systemClock, crypto, letterMs, stopped },
    {
      progress: printer.progress,
      print: (finding) => {
        findings.push(finding)
        printer.print(finding)
      },
    },
  )
  const faults = findings.filter(({ outcome }) => outcome === 'fault').length
  const warnings = findings.filter(({ outcome }) => outcome === 'warning').length
  printer.end(faults, warnings)
  if (faults === 0) return
  throw new Problem(
    'config',
    `The doctor found ${count(faults, 'fault')}.`,
    'Correct the first one, then run it again.',
  )
}

type Printer = FindingsPrinter & { readonly end: (faults: number, warnings: number) => void }

function jsonPrinter(): Printer {
  const printEvent = (event: string, fields: object) => {
    const at = new Date(systemClock.wallNow()).toISOString()
    process.stdout.write(`${JSON.stringify({ event, at, ...fields })}\n`)
  }
  return {
    progress: () => {},
    print: (finding) => printEvent('check', finding),
    end: (faults, warnings) => printEvent('done', { faults, warnings }),
  }
}

const tones = { ok: 'good', warning: 'bad', fault: 'worst' } as const

function textPrinter(): Printer {
  // Progress is shown only on a terminal, in a line that the next output overwrites.
  const isTerminal = process.stderr.isTTY === true
  const clear = () => {
    if (isTerminal) process.stderr.write('\r\x1b[K')
  }
  return {
    progress: (what) => {
      clear()
      if (isTerminal) process.stderr.write(`… ${what}`)
    },
    print: (finding) => {
      clear()
      const label = paint(tones[finding.outcome], finding.outcome.padEnd(8))
      process.stdout.write(`${label} ${finding.check.padEnd(9)} ${finding.text}\n`)
      if (finding.outcome !== 'ok') process.stdout.write(`${' '.repeat(19)}${finding.remedy}\n`)
    },
    end: (faults, warnings) => {
      clear()
      const rest = warnings > 0 ? `, ${count(warnings, 'warning')}` : ''
      if (faults === 0) process.stdout.write(`${paint('good', `No faults${rest}.`)}\n`)
    },
  }
}
