// What an agent and a host in one program share (A15): the mailbox, the sender and the room.

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
  readonly host: HostSetup['beside']
}

/** Null when the two have different addresses, so that each opens its own mailbox. */
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
  // Whichever of the two is opened first; the other is opened by nobody and holds nothing.
  const mailbox = new SharedMailbox(() => open().mailbox)
  const sender = new SharedSender(() => open().sender, address, mailbox)
  const view = (reader: string): OpenMail => ({ mailbox: mailbox.view(reader), sender: sender.view() })
  return { agent: () => view('agent'), host: { agent, mail: () => view('host') } }
}

/** Of the agent to its host's first room, the same at every start: one agent is one who came by an invite. */
export function ownInvite(folder: HostFolder) {
  const { crypto, keys } = folder
  const room = roomNamed(keys)
  const seed = ownSeed(crypto, keys.identity.secretKey, room.keys.tag)
  return inviteFrom(crypto, draftInvite(folder, room, {}, seed).text, 'The invite of the own host')
}

function ownSeed(crypto: Crypto, secretKey: Uint8Array, tag: Uint8Array): Uint8Array {
  return crypto.hash(concatBytes(utf8('peerpost own agent 1\0'), tag), 32, secretKey.subarray(0, 32))
}
