// `peerpost invite`: makes, lists and revokes invites. A new invite is printed alone, so that it can be piped.

import { Problem } from '../base/problem.ts'
import { loadHostConfig } from '../config/load-config.ts'
import { limits } from '../letter/limits.ts'
import { loadSodium } from '../runtime/sodium.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { createInvite, inviteFields } from '../setup/host-admin.ts'
import { readHostKeys, roomNamed } from '../setup/host-keys.ts'
import { type HostFolder, type ListedInvite, listInvites, revokeInvite } from '../setup/manage-invites.ts'
import { count } from '../wording/numbers-text.ts'
import { paint, printEvent, table } from './output.ts'

export type InviteCommandOptions = {
  readonly config: string
  readonly room?: string
  readonly until?: string
  readonly uses?: string
  readonly name?: string
  readonly list?: boolean
  readonly revoke?: string
  readonly json?: boolean
}

export async function runInvite(options: InviteCommandOptions): Promise<void> {
  const crypto = await loadSodium()
  const loaded = loadHostConfig(options.config, process.env)
  const folder = { crypto, loaded, keys: readHostKeys(crypto, loaded) }
  if (options.list) list(folder, options)
  else if (options.revoke !== undefined) revoke(folder, options.revoke, options)
  else make(folder, options)
}

function make(folder: HostFolder, { room, until, uses, name, json }: InviteCommandOptions): void {
  const options = { room, name, until, ...(uses !== undefined && { uses: parseUses(uses) }) }
  const made = createInvite(folder, options, systemClock.wallNow())
  if (json) printEvent(systemClock.wallNow(), 'invite', made)
  else process.stdout.write(`${made.invite}\n`)
}

function list(folder: HostFolder, { room, json }: InviteCommandOptions): void {
  const wantedRoom = room === undefined ? null : roomNamed(folder.keys, room).name
  const invites = listInvites(folder, systemClock.wallNow()).filter(
    ({ roomName }) => wantedRoom === null || roomName === wantedRoom,
  )
  if (json) {
    for (const invite of invites) printEvent(systemClock.wallNow(), 'invite', inviteFields(invite))
    return
  }
  if (invites.length === 0) {
    process.stdout.write('There are no invites yet. The same command without --list makes one.\n')
    return
  }
  const rows = invites.map((invite) => {
    const cells = [invite.id, invite.roomName, usesOf(invite), String(invite.present), endOf(invite)]
    return { tone: tones[invite.state], cells: [...cells, stateWords[invite.state], invite.name] }
  })
  process.stdout.write(`${table(['ID', 'ROOM', 'USED', 'HERE', 'UNTIL', 'STATE', 'NAME'], rows)}\n`)
}

function revoke(folder: HostFolder, which: string, { json }: InviteCommandOptions): void {
  const { invite, removed } = revokeInvite(folder, which, systemClock.wallNow())
  if (json)
    printEvent(systemClock.wallNow(), 'revoked', {
      id: invite.id,
      room: invite.roomName,
      name: invite.name,
      removed,
    })
  else {
    const name = invite.name === '' ? '' : ` (${invite.name})`
    const out =
      removed === 0
        ? 'No agent that used it was in the table'
        : `${count(removed, 'agent')} that used it ${removed === 1 ? 'was' : 'were'} removed`
    process.stdout.write(`${paint('good', `Revoked ${invite.id}${name}.`)} ${out}.\n`)
  }
}

const tones = { open: 'plain', ended: 'quiet', revoked: 'quiet', 'used-up': 'quiet' } as const
const stateWords = { open: 'open', ended: 'ended', revoked: 'revoked', 'used-up': 'used up' } as const

function usesOf({ used, uses }: ListedInvite): string {
  if (uses !== undefined) return `${used} of ${uses}`
  return used >= limits.inviteUses ? `${used} or more` : String(used)
}

function endOf({ until }: ListedInvite): string {
  if (until === undefined) return 'no end'
  const at = new Date(until)
  const two = (number: number) => String(number).padStart(2, '0')
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}`
}

function parseUses(text: string): number {
  const uses = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0
  if (uses >= 1 && uses <= limits.inviteUses) return uses
  throw new Problem(
    'usage',
    `"--uses ${text}" is not a valid number of agents.`,
    `Write a number from 1 to ${limits.inviteUses}.`,
  )
}
