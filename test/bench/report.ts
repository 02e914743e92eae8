// What every bench hands back, and how it is shown: one JSON line for programs, a small table for people.

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { findProgram } from '../harness/needs.ts'
import type { Quiet } from './quiet.ts'

/** One measured ratio and the bound it is held to. */
export type Report = {
  readonly bench: string
  readonly ratio: number
  readonly target: string
  readonly pass: boolean
  /** What we are compared with, and ours: figures in the units their names end in. */
  readonly baseline: Figures
  readonly measured: Figures
  /** How it was measured. */
  readonly inputs: Figures
}

export type Figures = { readonly [name: string]: number | string | boolean | readonly number[] }

/** The bench's JSON line on stdout, and its table on stderr. */
export function show(report: Report, quiet: Quiet): void {
  const at = new Date().toISOString()
  const line = { ...report, disturbance: quiet.disturbance, at, machine: machine(), versions: versions() }
  process.stdout.write(`${JSON.stringify(line)}\n`)
  const { bench, ratio, target, pass } = report
  const rows = (['baseline', 'measured', 'inputs'] as const).flatMap((part) =>
    Object.entries(report[part]).map(
      ([name, value]) => `  ${part.padEnd(9)} ${name.padEnd(32)} ${String(value)}`,
    ),
  )
  const verdict = `${bench}: ratio ${ratio} (${target}) ${pass ? 'reached' : 'MISSED'}`
  process.stderr.write(`\n${verdict}\n${rows.join('\n')}\n`)
}

/** Progress for a person. */
export function tell(line: string): void {
  process.stderr.write(`${line}\n`)
}

export function sleep(forMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, forMs))
}

/** 0 is the least, 1 the greatest; between two neighbours the lower. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN
}

export function round(value: number, digits = 3): number {
  return Number(value.toFixed(digits))
}

function machine(): Figures {
  const [first] = cpus()
  return { cpu: first?.model ?? 'unknown', cores: cpus().length, memoryGiB: round(totalmem() / 2 ** 30, 1) }
}

function versions(): Figures {
  const packages = ['imapflow', 'nodemailer', 'mailparser', 'better-sqlite3', 'libsodium-wrappers']
  return {
    node: process.versions.node,
    ...Object.fromEntries(packages.map((name) => [name, packageVersion(name)])),
    postfix: answerOf('postconf', '-h', 'mail_version'),
    dovecot: answerOf('dovecot', '--version'),
  }
}

function packageVersion(name: string): string {
  const file = new URL(`../../node_modules/${name}/package.json`, import.meta.url)
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }
  return version
}

function answerOf(program: string, ...args: readonly string[]): string {
  const answer = spawnSync(findProgram(program) ?? program, args, { encoding: 'utf8' })
  return answer.status === 0 ? answer.stdout.trim() : 'not installed'
}
