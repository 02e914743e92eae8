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
  readonly probeSender: ProbeSender
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
        ? [rangeScan(options, () => [0], 2_000)]
        : [rangeAnnouncer(options, { isTowardsSignaled: false })]
    case 'assigned-range':
      return assignedRange(options)
    case 'birthday':
    case 'block-search':
      return [birthdaySearch(options, () => 0)]
    case 'assigned-birthday': {
      // Should the peer let any port of our address in after all, one check is enough.
      if (mine.kind === 'random')
        return [rangeScan(options, () => [0], 30_000), birthdaySearch(options, () => 0)]
      const announcing = rangeAnnouncer(options, { isTowardsSignaled: false })
      return [announcing, birthdaySearch(options, () => announcing.vias[0] ?? null)]
    }
    case 'target-list':
      return [options.role === 'opener' ? pinholeOpener(options) : counterAdvancer(options)]
  }
}

/** The side that is assignable announces its port; the other checks it, and announces its own if it can. */
function assignedRange(options: TacticsOptions): readonly Tactic[] {
  const { mine, theirs } = options.plan
  if (mine.kind === 'random') return [rangeScan(options, () => [0], 30_000)]
  const isTowardsSignaled = theirs.kind === 'assignable' && mine.kind === 'counting'
  const announcing = rangeAnnouncer(options, { isTowardsSignaled })
  if (mine.kind === 'counting') return [announcing]
  const patienceMs = 2 * (options.mailMs ?? usualMailMs) + 5_000
  return [announcing, rangeScan(options, () => announcing.vias, patienceMs)]
}

function rangeAnnouncer(
  { plan, probeSender, now, mailMs }: TacticsOptions,
  { isTowardsSignaled }: { isTowardsSignaled: boolean },
) {
  const { mine, theirs, strategy } = plan
  const isSearched = strategy === 'assigned-birthday'
  return new PortRangeAnnouncer({
    probeSender,
    now,
    towards: isTowardsSignaled ? null : theirs.seenAs,
    step: mine.step,
    samplesEachSide: mine.ports.last - mine.ports.first < smallBlock ? 1 : 2,
    lifetimeMs: mine.lifetimeMs,
    // Who searches for a port needs ours for certain, and needs it to stay the same.
    mostCandidates: isSearched ? 1 : mostCandidates,
    patienceMs: (isSearched ? 10 : 3) * (mailMs ?? usualMailMs) + 20_000,
    onlyOpens: theirs.kind === 'fixed',
  })
}

function rangeScan({ plan, probeSender }: TacticsOptions, vias: () => readonly number[], patienceMs: number) {
  const { mine, theirs } = plan
  return new PortRangeScan({
    probeSender,
    vias,
    within: theirs.ports,
    lifetimeMs: mine.lifetimeMs,
    patienceMs,
  })
}

function birthdaySearch(
  { plan, probeSender, now, mailMs, random }: TacticsOptions,
  via: () => number | null,
) {
  const { mine, theirs, searchSize: size } = plan
  if (mine.kind === 'random') {
    const towards = theirs.kind === 'fixed' ? theirs.seenAs : null
    return new BirthdayParadoxSearch({
      probeSender,
      now,
      part: { type: 'sockets', towards },
      size,
      mailMs,
      random,
    })
  }
  const address = theirs.seenAs?.address ?? ''
  const part = { type: 'ports', address, within: theirs.ports, via } as const
  return new BirthdayParadoxSearch({ probeSender, now, part, size, mailMs, random })
}

function pinholeOpener({ plan, probeSender, mailMs }: TacticsOptions) {
  return new PinholeOpener({ probeSender, step: plan.mine.step, lifetimeMs: plan.mine.lifetimeMs, mailMs })
}

function counterAdvancer({ plan, probeSender, now, mailMs }: TacticsOptions) {
  return new PortCounterAdvancer({ probeSender, now, step: plan.mine.step, within: plan.mine.ports, mailMs })
}
