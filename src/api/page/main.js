// The page. It loads the status of the daemon after each event and every few seconds, and shows it.

import { agentHeader, agentView } from './agent-view.js'
import { listen, redeemCode, request, UnauthorizedError } from './api.js'
import { el, show } from './dom.js'
import { hostHeader, hostView } from './host-view.js'

/** @import { AgentStatus, PeerStatus } from '../../daemon/agent-schemas.ts' */
/** @import { HostStatus } from '../../daemon/host-schemas.ts' */
/** @import { Standings } from './agent-view.js' */
/** @import { Child } from './dom.js' */
/** @import { AdminLists } from './invites-and-blocked.js' */
/** @import { ShownEvent } from './components.js' */

const refreshIntervalMs = 5_000
/** Events come in bursts. One refresh is enough for all of them. */
const collectMs = 120
const retryMs = 2_000
const maxEvents = 100
/** The lists are loaded less often, as each time the host reads its database. */
const listsIntervalMs = 60_000

/** @type {AdminLists} */
const noLists = { invites: [], inviteTotal: 0, blocked: [], blockedTotal: 0, made: null }
/**
 * @type {{
 *   status: AgentStatus | HostStatus | null,
 *   peers: readonly PeerStatus[],
 *   standings: Standings,
 *   lists: AdminLists,
 *   events: readonly ShownEvent[],
 * }}
 */
const state = { status: null, peers: [], standings: { friends: [], blocked: [] }, lists: noLists, events: [] }
let eventCount = 0
let listsLoadedAt = Number.NEGATIVE_INFINITY
/** Screen readers do not read out events that are older than the page. */
let openedAt = 0
let isRefreshing = false
/** @type {number | undefined} */
let nextRefresh

const header = elementById('header')
const main = elementById('main')
const statusLine = elementById('news')

/** @param {string} id */
function elementById(id) {
  const element = document.getElementById(id)
  if (!element) throw new Error(`the page has no ${id}`)
  return element
}

/** @param {number} afterMs */
function refreshIn(afterMs) {
  clearTimeout(nextRefresh)
  nextRefresh = window.setTimeout(refresh, afterMs)
}

async function refresh() {
  if (isRefreshing) return refreshIn(collectMs)
  isRefreshing = true
  try {
    const status = /** @type {AgentStatus | HostStatus} */ (await request('GET', '/v1/status'))
    if (status.role === 'agent') {
      const [{ peers }, standings] = await Promise.all([
        request('GET', '/v1/peers'),
        request('GET', '/v1/standings'),
      ])
      Object.assign(state, { peers, standings })
    } else if (performance.now() - listsLoadedAt > listsIntervalMs) await refreshLists()
    state.status = status
    render()
    refreshIn(refreshIntervalMs)
  } catch (thrown) {
    if (thrown instanceof UnauthorizedError) return showUnauthorized()
    showUnreachable()
    refreshIn(retryMs)
  } finally {
    isRefreshing = false
  }
}

async function refreshLists() {
  const [{ invites, total: inviteTotal }, { blocked, total: blockedTotal }] = await Promise.all([
    request('GET', '/v1/invites'),
    request('GET', '/v1/blocked'),
  ])
  state.lists = { ...state.lists, invites, inviteTotal, blocked, blockedTotal }
  listsLoadedAt = performance.now()
}

function render() {
  const { status, peers, standings, lists } = state
  if (!status) return
  /** @type {readonly [readonly Child[], readonly Child[], string]} */
  const [top, content, title] =
    status.role === 'agent'
      ? [agentHeader(status), agentView(status, peers, standings, state.events), status.name]
      : [hostHeader(status), hostView(status, lists, state.events), 'host']
  document.body.className = status.role
  document.title = `${title} – peerpost`
  show(header, top)
  show(main, content)
}

/** Screen readers read out the text. @param {string} text */
function showStatus(text) {
  statusLine.textContent = text
}

function showUnreachable() {
  document.body.classList.add('away')
  showStatus('The daemon does not answer. The page tries again by itself.')
}

function showUnauthorized() {
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
  showStatus('')
}

/** @param {{ event: string, at: string, words?: { tone: string, text: string } | null, count?: number }} event */
function handleEvent({ event, at, words, count }) {
  const line =
    event === 'missed' ? { tone: 'quiet', text: `${count} earlier events are no longer stored.` } : words
  if (line) {
    state.events = [{ key: ++eventCount, at, ...line }, ...state.events].slice(0, maxEvents)
    const isNew = Date.parse(at) >= openedAt
    if (isNew && (line.tone === 'good' || line.tone === 'bad')) showStatus(line.text)
  }
  refreshIn(collectMs)
}

async function follow() {
  let lastEventId = ''
  for (;;) {
    try {
      lastEventId = await listen(lastEventId, handleEvent, () => {
        if (document.body.classList.contains('away')) showStatus('')
        document.body.classList.remove('away')
        refreshIn(0)
      })
      showUnreachable()
    } catch (thrown) {
      if (thrown instanceof UnauthorizedError) return showUnauthorized()
      showUnreachable()
    }
    await new Promise((resolve) => setTimeout(resolve, retryMs))
  }
}

async function copyInvite() {
  const { invite } = await request('GET', '/v1/room/invite')
  await navigator.clipboard.writeText(invite)
  showStatus('The invite is copied. Whoever gets it can join the room.')
}

/** @param {HTMLFormElement} form */
async function addForward(form) {
  const [protocol, local, nick, port] = ['protocol', 'local', 'nick', 'port'].map((name) =>
    new FormData(form).get(name),
  )
  await request('POST', '/v1/forwards', { forward: `${protocol}:${local}=${nick}:${port}` })
  form.reset()
  showStatus(`Port ${local} here leads to ${nick} now.`)
}

/** @param {HTMLFormElement} form */
async function makeInvite(form) {
  const [room, name, until, uses] = ['room', 'name', 'until', 'uses'].map((key) =>
    String(new FormData(form).get(key) ?? ''),
  )
  const options = {
    room,
    ...(name && { name }),
    ...(until && { until }),
    ...(uses && { uses: Number(uses) }),
  }
  const made = await request('POST', '/v1/invites', options)
  state.lists = { ...state.lists, made }
  form.reset()
  showStatus(`An invite to ${made.room} is made. It is shown this once.`)
}

/** @param {HTMLFormElement} form */
async function blockAgent(form) {
  const who = String(new FormData(form).get('agent') ?? '').trim()
  const { id, name } = await request('PUT', `/v1/blocked/${encodeURIComponent(who)}`)
  form.reset()
  showStatus(`${name || id} is blocked.`)
}

/** @type {Readonly<Record<string, (form: HTMLFormElement) => Promise<void>>>} */
const forms = { 'add-forward': addForward, 'make-invite': makeInvite, 'block-agent': blockAgent }

document.addEventListener('submit', async (event) => {
  event.preventDefault()
  if (!(event.target instanceof HTMLFormElement)) return
  try {
    await forms[event.target.dataset.action ?? '']?.(event.target)
  } catch (thrown) {
    if (thrown instanceof UnauthorizedError) return showUnauthorized()
    showStatus(thrown instanceof Error ? thrown.message : String(thrown))
  } finally {
    listsLoadedAt = Number.NEGATIVE_INFINITY
    refreshIn(0)
  }
})

document.addEventListener('click', async ({ target }) => {
  const pressed = target instanceof Element ? target.closest('button[data-action]') : null
  const action = pressed?.getAttribute('data-action')
  if (!pressed || !action || pressed.getAttribute('aria-disabled') === 'true') return
  pressed.setAttribute('aria-disabled', 'true')
  try {
    if (action === 'copy-invite') await copyInvite()
    else if (action === 'copy-made') await navigator.clipboard.writeText(state.lists.made?.invite ?? '')
    else if (action === 'hide-made') state.lists = { ...state.lists, made: null }
    else {
      const [method = '', path = ''] = action.split(' ')
      await request(method, path)
      showStatus(`${pressed.getAttribute('aria-label') ?? pressed.textContent}: done.`)
    }
  } catch (thrown) {
    if (thrown instanceof UnauthorizedError) return showUnauthorized()
    showStatus(thrown instanceof Error ? thrown.message : String(thrown))
  } finally {
    pressed.removeAttribute('aria-disabled')
    listsLoadedAt = Number.NEGATIVE_INFINITY
    refreshIn(0)
  }
})

// Without a token the first refresh says what to do.
await redeemCode().catch(() => {})
openedAt = Date.now()
await refresh()
await follow()
