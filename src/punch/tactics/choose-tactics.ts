// Chooses the tactics for this side of a plan (D6; the table is in punch-plan.ts).

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

/** Other connections may have taken ports in between. More candidate ports than this are not worth a letter. */
const maxCandidates = 8
/** A block up to this size has no port to spare. */
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
      // If the peer's NAT accepts any port of our address after all, one check is enough.
      if (mine.kind === 'random')
        return [rangeScan(options, () => [0], 30_000), birthdaySearch(options, () => 0)]
      const announcer = rangeAnnouncer(options, { isTowardsSignaled: false })
      return [announcer, birthdaySearch(options, () => announcer.vias[0] ?? null)]
    }
    case 'target-list':
      return [options.role === 'opener' ? pinholeOpener(options) : counterAdvancer(options)]
  }
}

/** The assignable side announces its port. The other side checks it, and announces its own port if it can. */
function assignedRange(options: TacticsOptions): readonly Tactic[] {
  const { mine, theirs } = options.plan
  if (mine.kind === 'random') return [rangeScan(options, () => [0], 30_000)]
  const isTowardsSignaled = theirs.kind === 'assignable' && mine.kind === 'counting'
  const announcer = rangeAnnouncer(options, { isTowardsSignaled })
  if (mine.kind === 'counting') return [announcer]
  const patienceMs = 2 * (options.mailMs ?? usualMailMs) + 5_000
  return [announcer, rangeScan(options, () => announcer.vias, patienceMs)]
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
    towards: isTowardsSignaled ? null : theirs.publicEndpoint,
    step: mine.step,
    samplesEachSide: mine.ports.last - mine.ports.first < smallBlock ? 1 : 2,
    lifetimeMs: mine.lifetimeMs,
    // A peer that searches needs to know our exact port, and the port must stay the same.
    maxCandidates: isSearched ? 1 : maxCandidates,
    patienceMs: (isSearched ? 10 : 3) * (mailMs ?? usualMailMs) + 20_000,
    isOpeningOnly: theirs.kind === 'fixed',
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
    const towards = theirs.kind === 'fixed' ? theirs.publicEndpoint : null
    return new BirthdayParadoxSearch({
      probeSender,
      now,
      role: { type: 'sockets', towards },
      size,
      mailMs,
      random,
    })
  }
  const address = theirs.publicEndpoint?.address ?? ''
  const searchRole = { type: 'ports', address, within: theirs.ports, via } as const
  return new BirthdayParadoxSearch({ probeSender, now, role: searchRole, size, mailMs, random })
}

function pinholeOpener({ plan, probeSender, mailMs }: TacticsOptions) {
  return new PinholeOpener({ probeSender, step: plan.mine.step, lifetimeMs: plan.mine.lifetimeMs, mailMs })
}

function counterAdvancer({ plan, probeSender, now, mailMs }: TacticsOptions) {
  return new PortCounterAdvancer({ probeSender, now, step: plan.mine.step, within: plan.mine.ports, mailMs })
}
