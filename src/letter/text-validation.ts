// Checks text from outside before it reaches a screen, a log or a mail header.

import { parseEndpoint } from '../base/endpoint.ts'
import { limits } from './limits.ts'

/** Control characters, lone surrogates, line separators, and marks that change the direction of text (UAX #9). */
const unfitForLine = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/u

function isLineOfText(text: string, maxCharacters: number): boolean {
  // The cheap test comes first: a character has at most two UTF-16 units.
  if (text.length === 0 || text.length > 2 * maxCharacters || text.trim() !== text) return false
  return [...text].length <= maxCharacters && !unfitForLine.test(text)
}

/** 1..32 code points on one line, no spaces at the ends. */
export function isNickname(text: string): boolean {
  return isLineOfText(text, limits.nicknameCharacters)
}

/** 1..64 code points on one line, no spaces at the ends. */
export function isRoomName(text: string): boolean {
  return isLineOfText(text, limits.roomNameCharacters)
}

/** 1..100 code points on one line, no spaces at the ends. */
export function isSubject(text: string): boolean {
  return isLineOfText(text, limits.subjectCharacters)
}

const localPart = /^[A-Za-z0-9!#$%&*+/=?^_`{|}~'-]+(?:\.[A-Za-z0-9!#$%&*+/=?^_`{|}~'-]+)*$/
const domainLabel = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/

function isDomain(text: string): boolean {
  return text.length <= 253 && text.split('.').every((label) => domainLabel.test(label))
}

/**
 * An address in the plain form of RFC 5321: dot-atom, `@`, domain name. No quoted local parts, comments, address literals
 * or non-ASCII characters, because a mail library could find a second recipient in them.
 */
export function isMailAddress(text: string): boolean {
  if (text.length > limits.mailAddressCharacters) return false
  const at = text.indexOf('@')
  if (at < 1 || at > 64) return false
  return localPart.test(text.slice(0, at)) && isDomain(text.slice(at + 1))
}

/** One word in angle brackets. */
export function isMessageId(text: string): boolean {
  return text.length <= limits.messageIdCharacters && /^<[!-;=?-~]+>$/.test(text)
}

/** `name:port`, `1.2.3.4:port` or `[::1]:port`. */
export function isHostAndPort(text: string): boolean {
  if (text.length > 259) return false
  if (parseEndpoint(text)) return true
  const match = /^([^:]+):([1-9][0-9]{0,4})$/.exec(text)
  return match !== null && isDomain(match[1] ?? '') && Number(match[2]) <= 65535
}
