// What an agent and a host in the same program share (A15): the mailbox, the sender and the room.

import { concatBytes, utf8 } from '../base/bytes.ts'
import type { Crypto } from '../base/crypto.ts'
import { sameAddress } from '../base/mail-address.ts'
import type { AgentConfig } from '../config/config-schema.ts'
import type { Loaded } from '../config/load-config.ts'
import type { UserId } from '../letter/letter-types.ts'
import { SharedMailbox } from '../mail/shared/shared-mailbox.ts'
import { SharedSender } from '../mail/shared/shared-sender.ts'
import type { HostSetup } from './create-host.ts'
import { roomNamed } from './host-keys.ts'
import { draftInvite, type HostFolder } from './manage-invites.ts'
import { type OpenMail, openMail } from './open-mail.ts'
import { inviteFrom } from './parse-invite.ts'

export type SharedMail = {
  readonly agent: () => OpenMail
  readonly host: HostSetup['localAgent']
}

/** Null when the two have different addresses. Then each opens its own mailbox. */
export function shareMail(
  { config, path }: Loaded<AgentConfig>,
  { loaded: host }: HostFolder,
  agent: UserId,
  onNotice: (notice: string) => void,
): SharedMail | null {
  const { address } = config
  if (!sameAddress(address, host.config.address)) return null
  const { subject } = host.config.mail
  const open = () => openMail(config.mail, path, { subject, address }, onNotice)
  // `open` runs twice. Of the first pair only the mailbox is used, of the second only the sender. The unused ones stay closed.
  const mailbox = new SharedMailbox(() => open().mailbox)
  const sender = new SharedSender(() => open().sender, address, mailbox)
  const view = (reader: string): OpenMail => ({ mailbox: mailbox.view(reader), sender: sender.view() })
  return { agent: () => view('agent'), host: { id: agent, mail: () => view('host') } }
}

/** The invite of the local agent to the first room. It is the same at every start, so that no start counts as a new use. */
export function inviteForLocalAgent(folder: HostFolder) {
  const { crypto, keys } = folder
  const room = roomNamed(keys)
  const seed = localAgentSeed(crypto, keys.identity.secretKey, room.keys.tag)
  return inviteFrom(
    crypto,
    draftInvite(folder, room, {}, seed).text,
    'The invite to the host in this program',
  )
}

function localAgentSeed(crypto: Crypto, secretKey: Uint8Array, tag: Uint8Array): Uint8Array {
  return crypto.hash(concatBytes(utf8('peerpost own agent 1\0'), tag), 32, secretKey.subarray(0, 32))
}
