// `peerpost doctor`: looks at everything that an agent or a host needs, and says what to do about what is missing.

import { Problem } from '../base/problem.ts'
import { loadSodium } from '../runtime/sodium.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { count } from '../wording/numbers-text.ts'
import { runAllChecks } from './doctor/all-checks.ts'
import type { Finding, FindingsList } from './doctor/findings.ts'
import { paint } from './output.ts'
import { untilStopped } from './shutdown.ts'

export type DoctorOptions = { readonly config: string; readonly json?: boolean }

/** Servers that greylist take minutes at the first letter; then there is nothing more to learn by waiting. */
const letterMs = 60_000

export async function runDoctor({ config, json }: DoctorOptions): Promise<void> {
  const { stopped } = untilStopped()
  const crypto = await loadSodium()
  const findings: Finding[] = []
  const screen = json ? jsonNotebook() : screenNotebook()
  await runAllChecks(
    { configFile: config, environment: process.env, clock: systemClock, crypto, letterMs, stopped },
    {
      progress: screen.progress,
      tell: (finding) => {
        findings.push(finding)
        screen.tell(finding)
      },
    },
  )
  const faults = findings.filter(({ outcome }) => outcome === 'fault').length
  const warnings = findings.filter(({ outcome }) => outcome === 'warning').length
  screen.end(faults, warnings)
  if (faults === 0) return
  throw new Problem(
    'config',
    `The doctor found ${count(faults, 'fault')}.`,
    'Mend the first one, then run it again.',
  )
}

type Screen = FindingsList & { readonly end: (faults: number, warnings: number) => void }

function jsonNotebook(): Screen {
  const tell = (event: string, fields: object) => {
    const at = new Date(systemClock.wallNow()).toISOString()
    process.stdout.write(`${JSON.stringify({ event, at, ...fields })}\n`)
  }
  return {
    progress: () => {},
    tell: (finding) => tell('check', finding),
    end: (faults, warnings) => tell('done', { faults, warnings }),
  }
}

const tones = { ok: 'good', warning: 'bad', fault: 'worst' } as const

function screenNotebook(): Screen {
  // What is being done now is shown on a terminal only, in a line that the next one takes the place of.
  const shows = process.stderr.isTTY === true
  const clear = () => {
    if (shows) process.stderr.write('\r\x1b[K')
  }
  return {
    progress: (what) => {
      clear()
      if (shows) process.stderr.write(`… ${what}`)
    },
    tell: (finding) => {
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
