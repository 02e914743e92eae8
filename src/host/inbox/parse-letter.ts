// Turns a mail into a letter with a valid signature, or into the reason why it holds none.

import { equalBytes } from '../../base/bytes.ts'
import { sameAddress } from '../../base/mail-address.ts'
import { readArmor } from '../../letter/armor.ts'
import { openForwarded } from '../../letter/forward-letter.ts'
import type { ForwardLetter, Letter } from '../../letter/letter-types.ts'
import { limits } from '../../letter/limits.ts'
import { openOneOf } from '../../letter/mail-text.ts'
import type { Refusal } from '../../letter/refusal.ts'
import type { FetchedMail } from '../../mail/mailbox.ts'
import { automaticKind, isReportLike } from '../../mail/mime/automatic-mail.ts'
import { type MailHeader, parseMail, type ReadMail } from '../../mail/mime/parse-mail.ts'
import { checkSender } from '../../mail/mime/sender-authentication.ts'
import type { HostContext, HostSelf } from '../context.ts'
import { type Bounce, readBounce } from './bounced-mail.ts'

export type ParsedLetter =
  | {
      readonly ok: true
      readonly letter: Letter
      /** The bytes that the sender signed. They can be sent to other hosts. */
      readonly signed: Uint8Array
      readonly mail: Pick<ReadMail, 'from' | 'to' | 'date' | 'messageId'>
      /** The letter in which our representative forwarded it. */
      readonly forward?: ForwardLetter
    }
  | { readonly ok: false; readonly refusal: Refusal | 'automatic'; readonly forward?: ForwardLetter }
  | { readonly ok: false; readonly refusal: 'bounce'; readonly bounce: Bounce }

type Reader = Pick<HostContext, 'self' | 'crypto' | 'settings'>

export async function parseLetter(reader: Reader, fetched: FetchedMail): Promise<ParsedLetter> {
  if (fetched.raw === null) return { ok: false, refusal: 'too-big' }
  const { header, content: read } = fetched.parsed ?? (await parseMail(fetched.raw, limits.mailBytes))
  if (automaticKind(header) !== null) {
    const bounce = isReportLike(header) ? readBounce(reader, fetched.raw) : null
    return bounce ? { ok: false, refusal: 'bounce', bounce } : { ok: false, refusal: 'automatic' }
  }
  if (!read.ok) return read
  const { self, crypto } = reader
  const isOwnAddress = sameAddress(read.mail.from, self.address)
  // The agent at our own address passes its mails inside this program, so no server authenticates them. Any other mail from our
  // address is refused below.
  if (!isOwnAddress && !isAuthentic(reader, header, read.mail.from))
    return { ok: false, refusal: 'unauthenticated' }
  const armored = readArmor(crypto, read.mail.text)
  const opened = armored.ok ? openOneOf(crypto, armored.boxes, openingKeysOf(self)) : armored
  // We would send the answer to ourselves. Only the agent that shares our address may write from it.
  if (isOwnAddress && !(opened.ok && isOwnAgent(self, opened.letter)))
    return { ok: false, refusal: 'automatic' }
  if (!armored.ok) return armored
  if (!opened.ok) return opened
  const { letter, signed } = opened
  const isForward = letter.kind === 'forward' && self.representative !== null
  return isForward && equalBytes(letter.from, self.representative.identity)
    ? readForwarded(reader, letter, armored.boxes)
    : { ok: true, letter, signed, mail: read.mail }
}

/** Whether our mail server authenticated the From, if the config requires this. */
export function isAuthentic(
  { settings }: Pick<HostContext, 'settings'>,
  header: MailHeader,
  from: string,
): boolean {
  const { trustedAuthservId } = settings
  return trustedAuthservId === null || checkSender(header.fields, trustedAuthservId, from) === 'passes'
}

/** Gives the letter the fields of the mail in which the representative got it. */
function readForwarded(
  { self, crypto }: Reader,
  forward: ForwardLetter,
  boxes: readonly Uint8Array[],
): ParsedLetter {
  const opened = openForwarded(crypto, forward, boxes, openingKeysOf(self.agentFacingKeys))
  if (!opened.ok) return { ...opened, forward }
  const { mailFrom: from, mailDate: date = null, messageId = null } = forward
  return {
    ok: true,
    letter: opened.letter,
    signed: opened.signed,
    mail: { from, to: [], date, messageId },
    forward,
  }
}

export function openingKeysOf({ identity, sealingKeys }: Pick<HostSelf, 'identity' | 'sealingKeys'>) {
  return { identity: identity.publicKey, keyPairs: [sealingKeys] }
}

function isOwnAgent({ ownAgent }: HostSelf, letter: Letter): boolean {
  return ownAgent !== null && equalBytes(letter.from, ownAgent)
}
