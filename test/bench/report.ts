// The result of a benchmark, and its output: one JSON line for programs, a small table for people.

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { findProgram } from '../harness/needs.ts'
import type { IdleWait } from './idle-wait.ts'

/** A measured ratio and its target. */
export type Report = {
  readonly bench: string
  readonly ratio: number
  readonly target: string
  readonly pass: boolean
  /** Figures of the baseline; units are in the names' endings. */
  readonly baseline: Figures
  readonly measured: Figures
  /** The parameters of the measurement. */
  readonly inputs: Figures
}

export type Figures = { readonly [name: string]: number | string | boolean | readonly number[] }

/** Prints the JSON line on stdout and the table on stderr. */
export function printReport(report: Report, idleWait: IdleWait): void {
  const at = new Date().toISOString()
  const line = { ...report, disturbance: idleWait.disturbance, at, machine: machine(), versions: versions() }
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

/** Prints a line of progress. */
export function printProgress(line: string): void {
  process.stderr.write(`${line}\n`)
}

export function sleep(forMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, forMs))
}

/** `share`: 0 is the smallest value, 1 the largest; between two values the lower one. */
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
