// Which tactics this side's part of a plan consists of (D6; the table is in punch-plan.ts).

import type { HardPlan } from '../punch-plan.ts'
import { BirthdayParadoxSearch } from './birthday-paradox-search.ts'
import { PinholeOpener } from './pinhole-opener.ts'
import { PortCounterAdvancer } from './port-counter-advancer.ts'
import { PortRangeAnnouncer } from './port-range-announcer.ts'
import { PortRangeScan } from './port-range-scan.ts'
import { type ProbeSender, type Tactic, usualMailMs } from './tactic.ts'

type TacticsOptions = {
  readonly plan: HardPlan
  readonly means: ProbeSender
  readonly now: number
  readonly role: 'opener' | 'responder'
  readonly mailMs: number | null
  /** 0 up to 1. */
  readonly random: () => number
}

/** Foreign connections may have come between; more ports than that are not worth a letter. */
const mostCandidates = 8
/** Of so many ports hardly one is to spare. */
const smallBlock = 256

export function chooseTactics(options: TacticsOptions): readonly Tactic[] {
  const { mine, strategy } = options.plan
  switch (strategy) {
    case 'range':
      return mine.kind === 'fixed'
        ? [sweeper(options, () => [0], 2_000)]
        : [announcer(options, { toldByPeer: false })]
    case 'assigned-range':
      return assigned(options)
    case 'birthday':
    case 'block-search':
      return [searcher(options, () => 0)]
    case 'assigned-birthday': {
      // Should the peer let any port of our address in after all, one check is enough.
      if (mine.kind === 'random') return [sweeper(options, () => [0], 30_000), searcher(options, () => 0)]
      const announcing = announcer(options, { toldByPeer: false })
      return [announcing, searcher(options, () => announcing.vias[0] ?? null)]
    }
    case 'target-list':
      return [options.role === 'opener' ? opener(options) : burner(options)]
  }
}

/** The side that is assignable tells its port, and the other comes to it, telling its own in turn if it can. */
function assigned(options: TacticsOptions): readonly Tactic[] {
  const { mine, theirs } = options.plan
  if (mine.kind === 'random') return [sweeper(options, () => [0], 30_000)]
  const toldByPeer = theirs.kind === 'assignable' && mine.kind === 'counting'
  const announcing = announcer(options, { toldByPeer })
  if (mine.kind === 'counting') return [announcing]
  const patienceMs = 2 * (options.mailMs ?? usualMailMs) + 5_000
  return [announcing, sweeper(options, () => announcing.vias, patienceMs)]
}

function announcer({ plan, means, now, mailMs }: TacticsOptions, { toldByPeer }: { toldByPeer: boolean }) {
  const { mine, theirs, strategy } = plan
  const isSearched = strategy === 'assigned-birthday'
  return new PortRangeAnnouncer({
    means,
    now,
    towards: toldByPeer ? null : theirs.seenAs,
    step: mine.step,
    samplesEachSide: mine.ports.last - mine.ports.first < smallBlock ? 1 : 2,
    lifetimeMs: mine.lifetimeMs,
    // Who searches for a port needs ours for certain, and needs it to stay the same.
    mostCandidates: isSearched ? 1 : mostCandidates,
    patienceMs: (isSearched ? 10 : 3) * (mailMs ?? usualMailMs) + 20_000,
    onlyOpens: theirs.kind === 'fixed',
  })
}

function sweeper({ plan, means }: TacticsOptions, vias: () => readonly number[], patienceMs: number) {
  const { mine, theirs } = plan
  return new PortRangeScan({ means, vias, within: theirs.ports, lifetimeMs: mine.lifetimeMs, patienceMs })
}

function searcher({ plan, means, now, mailMs, random }: TacticsOptions, via: () => number | null) {
  const { mine, theirs, searchSize: size } = plan
  if (mine.kind === 'random') {
    const towards = theirs.kind === 'fixed' ? theirs.seenAs : null
    return new BirthdayParadoxSearch({ means, now, part: { type: 'sockets', towards }, size, mailMs, random })
  }
  const address = theirs.seenAs?.address ?? ''
  const part = { type: 'ports', address, within: theirs.ports, via } as const
  return new BirthdayParadoxSearch({ means, now, part, size, mailMs, random })
}

function opener({ plan, means, mailMs }: TacticsOptions) {
  return new PinholeOpener({ means, step: plan.mine.step, lifetimeMs: plan.mine.lifetimeMs, mailMs })
}

function burner({ plan, means, now, mailMs }: TacticsOptions) {
  return new PortCounterAdvancer({ means, now, step: plan.mine.step, within: plan.mine.ports, mailMs })
}
