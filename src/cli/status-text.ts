// The text of `peerpost status`: one screen.

import type { AgentStatus, PeerStatus } from '../daemon/agent-schemas.ts'
import type { HostStatus } from '../daemon/host-schemas.ts'
import { pathWords } from '../wording/event-text.ts'
import { count, type Line, seconds, type Tone } from '../wording/numbers-text.ts'
import type { DaemonStatus } from './control-client.ts'

/** How many players are listed. The others are only counted. */
const maxShown = 30

export function statusText(status: DaemonStatus, wallNow: number): Line[] {
  return status.role === 'host' ? hostLines(status, wallNow) : agentLines(status, wallNow)
}

function agentLines(status: AgentStatus & { readonly peers: readonly PeerStatus[] }, now: number): Line[] {
  const { name, room, state, trouble, lastReply, declined, nat, exposes, forwards, peers } = status
  const [first, ...more] = nat?.words ?? ['Not measured yet.']
  return [
    line(
      state === 'joined' ? 'good' : 'bad',
      `${name} in the room ${room}: ${state} for ${ago(status.since, now)}`,
    ),
    ...(trouble ? [row('bad', 'trouble', `${trouble.message} ${trouble.remedy}`)] : []),
    mailboxRow(status.mailbox, now),
    row(
      'plain',
      'host',
      lastReply
        ? `answered ${ago(lastReply.at, now)} ago, after ${seconds(lastReply.sinceRequestMs)}, and named ${count(lastReply.peers, 'player')}`
        : 'no answer yet',
    ),
    ...(declined
      ? [row('bad', '', `${declined.words} Asking again ${fromNow(declined.againAt, now)}.`)]
      : []),
    row('plain', 'network', first ?? ''),
    ...more
      .filter((text) => !text.startsWith('  ') && !text.endsWith(':'))
      .map((text) => row('quiet', '', text)),
    ...[...exposes.map((text) => `${text} open to the room`), ...forwards].map((text, index) =>
      row('plain', index === 0 ? 'ports' : '', text),
    ),
    ...(peers.length === 0
      ? [row('plain', 'players', 'none known')]
      : peers.slice(0, maxShown).map((peer, index) => peerRow(peer, index === 0 ? 'players' : '', now))),
    ...(peers.length > maxShown ? [row('quiet', '', `and ${peers.length - maxShown} more`)] : []),
  ]
}

const peerTones: Readonly<Record<PeerStatus['state'], Tone>> = {
  linked: 'good',
  trying: 'plain',
  known: 'quiet',
  failed: 'bad',
  gone: 'quiet',
}

function peerRow(peer: PeerStatus, label: string, now: number): Line {
  const standing = peer.standing === 'none' ? '' : ` (${peer.standing})`
  const text = `${(peer.name + standing).padEnd(16)} ${peer.state.padEnd(7)} ${peerWords(peer)}`
  return row(peerTones[peer.state], label, `${text}${text.endsWith(' ') ? '' : ', '}${ago(peer.since, now)}`)
}

function peerWords({ state, path, quality, planWords, reason, advice }: PeerStatus): string {
  switch (state) {
    case 'linked': {
      const route = path ? `${pathWords(path)} (${path.remote})` : ''
      if (quality?.roundTripMs == null) return route
      const loss = quality.lossRate ? `, ${Math.round(quality.lossRate * 100)} % lost` : ''
      return `${route}, ${quality.roundTripMs} ms ± ${quality.jitterMs}${loss}`
    }
    case 'trying':
      return planWords ?? ''
    case 'failed':
      return `${reason ?? ''} ${advice ?? ''}`.trim().replace(/\.$/, '')
    case 'gone':
      return reason ?? ''
    case 'known':
      return ''
  }
}

function hostLines(status: HostStatus, now: number): Line[] {
  const { address, rooms, state, letters, mails, budgets, waitingIntroductions, trouble } = status
  const sum = (outcome: string) =>
    mails.filter((mail) => mail.outcome === outcome).reduce((total, mail) => total + mail.count, 0)
  return [
    line(
      state === 'ready' ? 'good' : 'bad',
      `Host at ${address} for ${rooms.length > 0 ? rooms.join(', ') : 'its workers'}: ${state} for ${ago(status.since, now)}`,
    ),
    ...(trouble
      ? [row('bad', 'trouble', `${ago(trouble.at, now)} ago: ${trouble.message} ${trouble.remedy}`)]
      : []),
    mailboxRow(status.mailbox, now),
    row('plain', 'table', `${budgets.table.used} of ${count(budgets.table.limit, 'agent')}`),
    row(
      'plain',
      'outbox',
      `${budgets.outbox.used} of ${count(budgets.outbox.limit, 'mail')} waiting, ${count(waitingIntroductions, 'introduction')} to be made`,
    ),
    ...budgetRows(budgets.sentInDay),
    row(
      sum('refused') + sum('given-up') > 0 ? 'bad' : 'plain',
      'mails',
      `${sum('sent')} sent, ${sum('later')} postponed, ${sum('refused') + sum('given-up')} not delivered`,
    ),
    ...(letters.length === 0 ? [row('plain', 'letters', 'none since the start')] : []),
    ...letters.map(({ kind, outcome, reason, count: number }, index) =>
      row(
        outcome === 'accepted' ? 'plain' : 'quiet',
        index === 0 ? 'letters' : '',
        `${String(number).padStart(6)}  ${kind} ${outcome}${reason ? `: ${reason}` : ''}`,
      ),
    ),
  ]
}

function budgetRows({ used, limit }: HostStatus['budgets']['sentInDay']): Line[] {
  if (limit === null) return []
  const tone = used >= 0.75 * limit ? 'bad' : 'plain'
  const words = used >= limit ? ', replies wait' : tone === 'bad' ? ', no introductions' : ''
  return [row(tone, 'budget', `${used} of ${count(limit, 'mail')} sent in a day${words}`)]
}

function mailboxRow({ state, since, reason }: AgentStatus['mailbox'], now: number): Line {
  const text = `${state} for ${ago(since, now)}${reason ? `: ${reason}` : ''}`
  return row(state === 'disconnected' ? 'bad' : 'plain', 'mailbox', text)
}

function line(tone: Tone, text: string): Line {
  return { tone, text }
}

function row(tone: Tone, label: string, text: string): Line {
  return line(tone, `  ${label.padEnd(9)} ${text}`)
}

/** The time since `instant`, in a suitable unit. */
function ago(instant: string, now: number): string {
  return span(now - Date.parse(instant))
}

function fromNow(instant: string, now: number): string {
  return Date.parse(instant) <= now ? 'now' : `in ${span(Date.parse(instant) - now)}`
}

function span(spanMs: number): string {
  const ms = Math.max(0, spanMs)
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`
  return ms < 172_800_000 ? `${Math.round(ms / 3_600_000)} h` : `${Math.round(ms / 86_400_000)} d`
}
