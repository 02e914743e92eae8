// The page: looks at the daemon whenever something happened and every few seconds, and shows what it saw.

import { agentHeader, agentView } from './agent-view.js'
import { ask, enter, listen, NotAdmitted } from './api.js'
import { el, show } from './dom.js'
import { hostHeader, hostView } from './host-view.js'

/** @import { AgentStatus, PeerStatus } from '../../daemon/agent-schemas.ts' */
/** @import { HostStatus } from '../../daemon/host-schemas.ts' */
/** @import { Standings } from './agent-view.js' */
/** @import { Child } from './dom.js' */
/** @import { AdminLists } from './invites-and-blocked.js' */
/** @import { News } from './components.js' */

const lookMs = 5_000
/** Events come in bursts; one look serves them all. */
const gatherMs = 120
const againMs = 2_000
const mostNews = 100
/** Each look at invites reads the host's database. */
const listsMs = 60_000

/** @type {AdminLists} */
const noLists = { invites: [], inviteTotal: 0, blocked: [], blockedTotal: 0, made: null }
/**
 * @type {{
 *   status: AgentStatus | HostStatus | null,
 *   peers: readonly PeerStatus[],
 *   standings: Standings,
 *   lists: AdminLists,
 *   news: readonly News[],
 * }}
 */
const seen = { status: null, peers: [], standings: { friends: [], blocked: [] }, lists: noLists, news: [] }
let told = 0
let listsSeenAt = Number.NEGATIVE_INFINITY
/** Events that were told before this page was opened are not read out. */
let openedAt = 0
let isLooking = false
/** @type {number | undefined} */
let nextLook

const header = place('header')
const main = place('main')
const news = place('news')

/** @param {string} id */
function place(id) {
  const element = document.getElementById(id)
  if (!element) throw new Error(`the page has no ${id}`)
  return element
}

/** @param {number} afterMs */
function lookIn(afterMs) {
  clearTimeout(nextLook)
  nextLook = window.setTimeout(look, afterMs)
}

async function look() {
  if (isLooking) return lookIn(gatherMs)
  isLooking = true
  try {
    const status = /** @type {AgentStatus | HostStatus} */ (await ask('GET', '/v1/status'))
    if (status.role === 'agent') {
      const [{ peers }, standings] = await Promise.all([ask('GET', '/v1/peers'), ask('GET', '/v1/standings')])
      Object.assign(seen, { peers, standings })
    } else if (performance.now() - listsSeenAt > listsMs) await refreshLists()
    seen.status = status
    render()
    lookIn(lookMs)
  } catch (thrown) {
    if (thrown instanceof NotAdmitted) return showNotAdmitted()
    showAway()
    lookIn(againMs)
  } finally {
    isLooking = false
  }
}

async function refreshLists() {
  const [{ invites, total: inviteTotal }, { blocked, total: blockedTotal }] = await Promise.all([
    ask('GET', '/v1/invites'),
    ask('GET', '/v1/blocked'),
  ])
  seen.lists = { ...seen.lists, invites, inviteTotal, blocked, blockedTotal }
  listsSeenAt = performance.now()
}

function render() {
  const { status, peers, standings, lists } = seen
  if (!status) return
  /** @type {readonly [readonly Child[], readonly Child[], string]} */
  const [top, content, title] =
    status.role === 'agent'
      ? [agentHeader(status), agentView(status, peers, standings, seen.news), status.name]
      : [hostHeader(status), hostView(status, lists, seen.news), 'host']
  document.body.className = status.role
  document.title = `${title} – peerpost`
  show(header, top)
  show(main, content)
}

/** Said once; screen readers read it out. @param {string} text */
function say(text) {
  news.textContent = text
}

function showAway() {
  document.body.classList.add('away')
  say('The daemon does not answer. It is tried again by itself.')
}

function showNotAdmitted() {
  document.body.className = 'outside'
  show(header, [el('h1', {}, 'peerpost')])
  show(main, [
    el('p', { class: 'lead' }, 'This page needs a fresh address.'),
    el(
      'p',
      {},
      'Run ',
      el('code', {}, 'peerpost status --open --config FILE'),
      ' in a terminal, with the config file of the agent or host, and open the address it prints. An address works once, within five minutes. This tab then stays connected until the daemon stops.',
    ),
  ])
  say('')
}

/** @param {{ event: string, at: string, words?: { tone: string, text: string } | null, count?: number }} event */
function heard({ event, at, words, count }) {
  const line = event === 'missed' ? { tone: 'quiet', text: `${count} earlier events are forgotten.` } : words
  if (line) {
    seen.news = [{ key: ++told, at, ...line }, ...seen.news].slice(0, mostNews)
    const isNew = Date.parse(at) >= openedAt
    if (isNew && (line.tone === 'good' || line.tone === 'bad')) say(line.text)
  }
  lookIn(gatherMs)
}

async function follow() {
  let reached = ''
  for (;;) {
    try {
      reached = await listen(reached, heard, () => {
        if (document.body.classList.contains('away')) say('')
        document.body.classList.remove('away')
        lookIn(0)
      })
      showAway()
    } catch (thrown) {
      if (thrown instanceof NotAdmitted) return showNotAdmitted()
      showAway()
    }
    await new Promise((resolve) => setTimeout(resolve, againMs))
  }
}

async function copyInvite() {
  const { invite } = await ask('GET', '/v1/room/invite')
  await navigator.clipboard.writeText(invite)
  say('The invite is copied. Whoever gets it can join the room.')
}

/** @param {HTMLFormElement} form */
async function addForward(form) {
  const [protocol, local, nick, port] = ['protocol', 'local', 'nick', 'port'].map((name) =>
    new FormData(form).get(name),
  )
  await ask('POST', '/v1/forwards', { forward: `${protocol}:${local}=${nick}:${port}` })
  form.reset()
  say(`Port ${local} here leads to ${nick} now.`)
}

/** @param {HTMLFormElement} form */
async function makeInvite(form) {
  const [room, name, until, uses] = ['room', 'name', 'until', 'uses'].map((key) =>
    String(new FormData(form).get(key) ?? ''),
  )
  const wishes = { room, ...(name && { name }), ...(until && { until }), ...(uses && { uses: Number(uses) }) }
  const made = await ask('POST', '/v1/invites', wishes)
  seen.lists = { ...seen.lists, made }
  form.reset()
  say(`An invite to ${made.room} is made. It is shown this once.`)
}

/** @param {HTMLFormElement} form */
async function blockAgent(form) {
  const who = String(new FormData(form).get('agent') ?? '').trim()
  const { id, name } = await ask('PUT', `/v1/blocked/${encodeURIComponent(who)}`)
  form.reset()
  say(`${name || id} is blocked.`)
}

/** @type {Readonly<Record<string, (form: HTMLFormElement) => Promise<void>>>} */
const forms = { 'add-forward': addForward, 'make-invite': makeInvite, 'block-agent': blockAgent }

document.addEventListener('submit', async (event) => {
  event.preventDefault()
  if (!(event.target instanceof HTMLFormElement)) return
  try {
    await forms[event.target.dataset.action ?? '']?.(event.target)
  } catch (thrown) {
    if (thrown instanceof NotAdmitted) return showNotAdmitted()
    say(thrown instanceof Error ? thrown.message : String(thrown))
  } finally {
    listsSeenAt = Number.NEGATIVE_INFINITY
    lookIn(0)
  }
})

document.addEventListener('click', async ({ target }) => {
  const pressed = target instanceof Element ? target.closest('button[data-action]') : null
  const action = pressed?.getAttribute('data-action')
  if (!pressed || !action || pressed.getAttribute('aria-disabled') === 'true') return
  pressed.setAttribute('aria-disabled', 'true')
  try {
    if (action === 'copy-invite') await copyInvite()
    else if (action === 'copy-made') await navigator.clipboard.writeText(seen.lists.made?.invite ?? '')
    else if (action === 'hide-made') seen.lists = { ...seen.lists, made: null }
    else {
      const [method = '', path = ''] = action.split(' ')
      await ask(method, path)
      say(`${pressed.getAttribute('aria-label') ?? pressed.textContent}: done.`)
    }
  } catch (thrown) {
    if (thrown instanceof NotAdmitted) return showNotAdmitted()
    say(thrown instanceof Error ? thrown.message : String(thrown))
  } finally {
    pressed.removeAttribute('aria-disabled')
    listsSeenAt = Number.NEGATIVE_INFINITY
    lookIn(0)
  }
})

await enter().catch(() => {})
openedAt = Date.now()
await look()
await follow()
