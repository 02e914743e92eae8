// The runs of one row of the grid, by number. Run 0 of a row is always the same run.

import { seededRandom } from '../seeded-crypto.ts'
import { type GridRow, networkConditions } from './nat-grid.ts'
import type { Run } from './nat-statistics.ts'
import { type Circumstances, runPair } from './pair-run.ts'

export type RunsOptions = {
  /** Runs under each network condition. */
  readonly each: number
  readonly profile: Circumstances['profile']
  /** How many runs per condition use libsodium; the others use a replacement. */
  readonly withRealCrypto: number
}

export function circumstancesOf(
  row: GridRow,
  condition: number,
  index: number,
  options: RunsOptions,
): Circumstances {
  const { mailMs, loss } = networkConditions[condition] ?? { mailMs: 0, loss: 0 }
  const seed = seedOf(row.name, condition, index)
  return {
    scene: row.draw(seededRandom(seed)),
    seed,
    mailMs,
    loss,
    profile: options.profile,
    crypto: index < options.withRealCrypto ? 'real' : 'cheap',
  }
}

export function runRow(row: GridRow, options: RunsOptions): Run[] {
  return networkConditions.flatMap((_, condition) => runCondition(row, condition, options))
}

export function runCondition(row: GridRow, condition: number, options: RunsOptions): Run[] {
  return Array.from({ length: options.each }, (_, index) => {
    const circumstances = circumstancesOf(row, condition, index, options)
    return { circumstances, outcome: runPair(circumstances) }
  })
}

/** FNV-1a: no two rows share their random choices. */
function seedOf(name: string, condition: number, index: number): number {
  let hash = 0x811c9dc5
  for (const character of `${name} ${condition} ${index}`) {
    hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193)
  }
  return (hash ^ (hash >>> 15)) >>> 0
}
