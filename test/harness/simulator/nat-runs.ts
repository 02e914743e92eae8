// The runs of one line, by number. Run 0 of a line is always the same meeting, wherever and whenever it is run.

import { seededRandom } from '../seeded-crypto.ts'
import { type Line, weathers } from './nat-grid.ts'
import type { Run } from './nat-tally.ts'
import { type Circumstances, runPair } from './pair-run.ts'

export type RunsOptions = {
  /** Runs in each weather. */
  readonly each: number
  readonly profile: Circumstances['profile']
  /** Of the runs in each weather, how many use libsodium; the rest make do with a stand-in. */
  readonly withRealCrypto: number
}

export function circumstancesOf(
  line: Line,
  weather: number,
  index: number,
  options: RunsOptions,
): Circumstances {
  const { mailMs, loss } = weathers[weather] ?? { mailMs: 0, loss: 0 }
  const seed = seedOf(line.name, weather, index)
  return {
    scene: line.draw(seededRandom(seed)),
    seed,
    mailMs,
    loss,
    profile: options.profile,
    crypto: index < options.withRealCrypto ? 'real' : 'cheap',
  }
}

export function runLine(line: Line, options: RunsOptions): Run[] {
  return weathers.flatMap((_, weather) => runWeather(line, weather, options))
}

export function runWeather(line: Line, weather: number, options: RunsOptions): Run[] {
  return Array.from({ length: options.each }, (_, index) => {
    const circumstances = circumstancesOf(line, weather, index, options)
    return { circumstances, outcome: runPair(circumstances) }
  })
}

/** FNV-1a: no two lines share their draws. */
function seedOf(name: string, weather: number, index: number): number {
  let hash = 0x811c9dc5
  for (const character of `${name} ${weather} ${index}`) {
    hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193)
  }
  return (hash ^ (hash >>> 15)) >>> 0
}
