// The events of host and agent, told to a person.

import type { AgentEvent } from '../agent/events.ts'
import type { NatProfile } from '../base/nat-profile.ts'
import type { HostEvent } from '../host/events.ts'
import type { MailboxState } from '../mail/mailbox.ts'
import { count, type Line, seconds, type Tone } from './numbers-text.ts'

const line = (tone: Tone, text: string): Line => ({ tone, text })

export function describeHostEvent(event: HostEvent): Line | null {
  switch (event.event) {
    case 'ready':
      return line('good', `The host is ready at ${event.address}, for ${rooms(event.rooms)}.`)
    case 'letter':
      return event.outcome === 'accepted'
        ? line('plain', `A ${event.kind} letter came.`)
        : line('quiet', `A letter was dropped: ${event.reason}.`)
    case 'sent':
      return line(
        'plain',
        `${event.kind === 'introduction' ? 'An introduction' : `A ${event.kind}`} was sent.`,
      )
    case 'unsent':
      return line('bad', `A ${event.kind} could not be sent (${event.outcome}): ${event.reason}`)
    case 'budget':
      return describeBudget(event)
    case 'standing':
      return event.state === 'awake'
        ? line('good', 'No other host answers: this one does now.')
        : line('plain', 'This host stands by, and answers when no other one does.')
    case 'mailbox':
      return describeMailbox(event)
    case 'trouble':
      return line('bad', event.problem.line)
  }
}

function describeBudget({ state, sent, perDay, moreInMs }: Extract<HostEvent, { event: 'budget' }>): Line {
  const figures = `${sent} of ${count(perDay, 'mail')} a day`
  if (moreInMs === null) return line('good', `${figures} sent: all mails go out again.`)
  const until = `for ${minutes(moreInMs)} or more`
  return state === 'used-up'
    ? line('bad', `${figures} sent: replies wait ${until}.`)
    : line('bad', `${figures} sent: no introductions ${until}, so that replies go on.`)
}

export function describeAgentEvent(event: AgentEvent): Line | null {
  switch (event.event) {
    case 'ready':
      return line('good', `${event.name} is ready for the room ${event.room}. Your user ID: ${event.id}`)
    case 'left':
      return line('plain', 'Left the room.')
    case 'nat':
      return line('plain', describeNat(event, event.public, event.isPublic))
    case 'mailbox':
      return describeMailbox(event)
    case 'requested':
      return line('plain', `Asked ${count(event.hosts, 'host')} for players.`)
    case 'unsent':
      return line('bad', `The ${event.letter} letter could not be sent: ${event.reason}`)
    case 'unanswered':
      return line('bad', `No answer for ${seconds(event.sinceRequestMs)}. Asking again; is the host running?`)
    case 'replied':
      return line(
        'plain',
        `The host named ${count(event.peers, 'player')} (${seconds(event.sinceRequestMs)}).`,
      )
    case 'declined':
      return line('bad', `${declineWords(event.reason)} Asking again in ${minutes(event.againInMs)}.`)
    case 'introduced':
      return line('plain', `${event.peer.name} wants to meet.`)
    case 'punching':
      return event.plan === 'none' ? null : line('plain', `Trying to reach ${event.peer.name}.`)
    case 'connected':
      return line(
        'good',
        `Connected with ${event.peer.name} ${pathWords(event.path)} (${event.path.remote}) in ${seconds(event.sincePunchMs)}.`,
      )
    case 'path':
      return line(
        'plain',
        `${event.peer.name} is now reached ${pathWords(event.path)} (${event.path.remote}).`,
      )
    case 'disturbed':
      return line('bad', `Nothing comes from ${event.peer.name}. Looking for another way.`)
    case 'recovered':
      return line('good', `${event.peer.name} is back after ${seconds(event.afterMs)}.`)
    case 'failed':
      return line(
        'bad',
        `${event.peer.name} cannot be reached. ${event.reason}${event.advice ? ` ${event.advice}` : ''}`,
      )
    case 'disconnected':
      return line(
        'bad',
        `The connection with ${event.peer.name} ended: ${goodbyes[event.reason] ?? event.reason}.`,
      )
    case 'waiting':
      return line('plain', 'Waiting for others to come.')
    case 'letter':
      return line('quiet', `A letter was dropped: ${event.reason}.`)
    case 'notice':
      return line('bad', event.notice)
    case 'forward':
      return line('plain', event.notice)
  }
}

const goodbyes: Readonly<Record<string, string>> = {
  closed: 'closed by us',
  'closed-by-peer': 'the other side left',
  lost: 'nothing came any more',
}

export function declineWords(reason: string): string {
  return declines.get(reason) ?? `The host declined: ${reason}.`
}

const declines: ReadonlyMap<string, string> = new Map([
  ['too-often', 'The host was asked too often, by us or by others with our mail provider.'],
  ['invite-ended', 'Your invite has ended. Ask whoever runs the host for a new one.'],
  ['invite-revoked', 'Your invite was revoked. Ask whoever runs the host.'],
  ['invite-used-up', 'As many agents as may came by this invite. Ask whoever runs the host for another one.'],
  ['invite-required', 'The room now wants an invite of the newer kind. Ask whoever runs the host for one.'],
])

function minutes(ms: number): string {
  if (ms > 7_200_000) return count(Math.ceil(ms / 3_600_000), 'hour')
  return count(Math.max(1, Math.ceil(ms / 60_000)), 'minute')
}

function rooms(names: readonly string[]): string {
  if (names.length === 0) return 'its workers'
  return names.length === 1 ? `the room ${names[0]}` : `the rooms ${names.join(', ')}`
}

export function pathWords({ kind, protocol }: { readonly kind: string; readonly protocol: string }): string {
  const byTcp = protocol === 'tcp' ? ' over TCP' : ''
  return `${kind === 'lan' ? 'inside the local network' : 'directly'}${byTcp}`
}

function describeMailbox(state: MailboxState): Line {
  return state.state === 'connected'
    ? line('quiet', 'The mailbox is connected.')
    : line(
        'bad',
        `The mailbox is not connected: ${state.reason} Trying again in ${seconds(state.retryInMs)}.`,
      )
}

/** What kind of NAT, and what that means for meeting others. Not `isPublic`: the servers are in our own network. */
export function describeNat(
  { mapping }: NatProfile,
  addresses: readonly string[],
  isPublic: boolean,
): string {
  const who = isPublic ? 'The Internet sees' : 'The STUN servers, which are not on the Internet, see'
  const seen = addresses.length === 0 ? '' : ` ${who} us at ${addresses.join(', ')}.`
  switch (mapping) {
    case 'none':
      return isPublic
        ? `No NAT: our own address is public.${seen}`
        : `No NAT inside the local network; whether one leads out of it is unknown.${seen}`
    case 'EIM':
      return `Your NAT makes it easy to meet others: it keeps one port for all destinations (endpoint-independent mapping).${seen}`
    case 'ADM':
    case 'APDM':
      return `Your NAT makes it hard to meet some: it takes another port for each destination (${mapping === 'ADM' ? 'address' : 'address and port'}-dependent mapping).${seen}`
    case 'unknown':
      return addresses.length === 0
        ? 'No STUN server answered over UDP, so UDP is blocked or there is no Internet: players in the same network may be met, others over TCP at best.'
        : `Only one STUN server answered, so the kind of NAT is unknown.${seen}`
  }
}
