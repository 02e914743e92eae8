// Elements that the pages of agent and host share.

import { el } from './dom.js'
import { clock } from './format.js'

/** @import { AgentStatus } from '../../daemon/agent-schemas.ts' */
/** @import { Child } from './dom.js' */
/** @typedef {{ readonly key: number, readonly at: string, readonly tone: string, readonly text: string }} ShownEvent */

/**
 * @param {string} id
 * @param {string} title
 * @param {readonly Child[]} children
 */
export function section(id, title, ...children) {
  return el(
    'section',
    { 'data-key': id, 'aria-labelledby': `${id}-title` },
    el('h2', { id: `${id}-title` }, title),
    ...children,
  )
}

/**
 * A column of sections.
 * @param {string} id
 * @param {readonly Child[]} children
 */
export function column(id, ...children) {
  return el('div', { class: 'column', 'data-key': id }, ...children)
}

/** @param {readonly (readonly [string, Child])[]} rows */
export function facts(rows) {
  return el(
    'dl',
    {},
    ...rows
      .filter(([, value]) => value !== null)
      .map(([name, value]) => el('div', { 'data-key': name }, el('dt', {}, name), el('dd', {}, value))),
  )
}

/**
 * @param {'good' | 'bad' | 'busy' | 'quiet'} tone
 * @param {string} text
 */
export function badge(tone, text) {
  return el('span', { class: `badge ${tone}` }, text)
}

/**
 * @param {string} text
 * @param {string} action `METHOD path`, or an action of main.js
 * @param {string} [label] for screen readers, when the text alone is not clear
 */
export function button(text, action, label) {
  return el('button', { type: 'button', 'data-action': action, 'aria-label': label ?? null }, text)
}

/**
 * @param {string} name
 * @param {string} label
 * @param {HTMLElement} control
 */
export function field(name, label, control) {
  control.setAttribute('name', name)
  return el('label', {}, el('span', {}, label), control)
}

/** @param {AgentStatus['mailbox']} mailbox */
export function mailboxBadge({ state, reason }) {
  const tones = /** @type {const} */ ({
    connected: 'good',
    connecting: 'busy',
    disconnected: 'bad',
    closed: 'quiet',
  })
  const tone = tones[state]
  return el('span', {}, badge(tone, state), reason ? ` ${reason}` : '')
}

/** @param {readonly ShownEvent[]} shown newest first */
export function events(shown) {
  return section(
    'events',
    'What happened',
    shown.length === 0
      ? el('p', {}, 'Nothing yet.')
      : el(
          'ol',
          { class: 'events', tabindex: 0, 'aria-labelledby': 'events-title' },
          ...shown.map(({ key, at, tone, text }) =>
            el(
              'li',
              { 'data-key': key, class: tone },
              el('time', { datetime: at }, clock(at)),
              el('span', {}, text),
            ),
          ),
        ),
  )
}
