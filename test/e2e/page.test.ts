// The pages of agents and hosts in a real browser, beside processes that run as users run them.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { controlFileOf, readControlFile } from '../../src/api/control-file.ts'
import { freeTcpPort } from '../forward/pair.ts'
import { Browser, type Page } from '../harness/browser.ts'
import { deferIn } from '../harness/defer.ts'
import { lacks } from '../harness/needs.ts'
import { TestDeployment } from '../harness/test-deployment.ts'

/** What `peerpost status --open` prints. */
async function addressOf(config: string): Promise<string> {
  const { url, token } = readControlFile(controlFileOf(config)) ?? assert.fail('the daemon runs')
  const headers = { authorization: `Bearer ${token}` }
  const response = await fetch(`${url}/v1/codes`, { method: 'POST', headers })
  return ((await response.json()) as { url: string }).url
}

/** Roles and names as a screen reader gets them. */
async function treeOf(page: Page): Promise<string> {
  return page.locator('body').ariaSnapshot()
}

/** WCAG 2.2 §1.4.3: every text that is seen, against what is behind it; those below 4.5 are named. */
async function poorContrast(page: Page): Promise<unknown> {
  return page.evaluate(readFileSync('test/e2e/poor-contrast.js', 'utf8'))
}

const nameOfFocused = 'document.activeElement.ariaLabel ?? document.activeElement.textContent'

/** Where Tab leads, as names of buttons and the like. */
async function walk(page: Page, steps: number): Promise<string[]> {
  const names: string[] = []
  for (let i = 0; i < steps; i++) {
    await page.keyboard.press('Tab')
    names.push(String(await page.evaluate(nameOfFocused)))
  }
  return names
}

const skip = lacks('chromium')
const settings = { skip, timeout: 180_000 }

let browser: Browser
before(async () => {
  if (!skip) browser = await Browser.open()
})
after(() => browser?.close())

test(
  'the page of an agent goes with it through a failure, a meeting, and leaving',
  settings,
  async (context) => {
    const defer = deferIn(context)
    const deployment = await TestDeployment.withHost(defer)
    await Promise.all([
      deployment.makeAgent('anna', 'host', [['# attempt = "2m"', 'attempt = "4s"']]),
      deployment.makeAgent('ben'),
    ])
    // Ben is in the table, and gone: whoever asks is told of him in vain.
    const lost = deployment.startAgent('ben')
    await lost.waitFor('replied')
    lost.kill('SIGKILL')
    await lost.ended

    const anna = deployment.startAgent('anna', ['--expose', 'udp:7777'])
    await anna.waitFor('ready')
    const visitor = await browser.visitor(defer)
    const { page, complaints } = await visitor.tab()
    const address = await addressOf(deployment.agentConfig('anna'))
    await page.goto(address)
    assert.equal(new URL(page.url()).hash, '', 'the code is gone from the address')
    await page.getByRole('heading', { level: 1, name: 'anna in the room friends' }).waitFor()

    const ben = page.getByRole('article', { name: 'ben' })
    await ben.getByText('The peer did not answer on any of its addresses.').waitFor()
    await ben.getByText('What would help:').waitFor()
    await ben.getByText('not reached for').waitFor()
    await visitor.shoot(page, 'agent-failure')

    const back = deployment.startAgent('ben')
    await back.waitFor('ready')
    await ben.getByText('linked for').waitFor()
    await ben.getByRole('img', { name: /^Round trips with ben: now \d/ }).waitFor()
    await page.getByRole('status').filter({ hasText: 'Connected with ben' }).waitFor()
    assert.match(
      await treeOf(page),
      new RegExp(
        [
          '- banner:',
          '- heading "anna in the room friends" \\[level=1\\]',
          '- button "Leave the room"',
          '- main:',
          '- region "Players":',
          '- article "ben":',
          'img "Round trips with ben',
          '- button "Disconnect ben"',
          '- button "Add ben as a friend"',
          '- button "Block ben"',
          '- region "Your network":',
          '- region "You and the host":',
          '- region "Ports of games":',
          '- region "What happened":',
        ].join('[\\s\\S]*'),
      ),
    )
    await visitor.shoot(page, 'agent-linked')

    await page.evaluate('document.activeElement.blur()')
    const order = [
      'Skip to the content',
      'Leave the room',
      'Ask the host again',
      'Copy the invite',
      'Disconnect ben',
    ]
    assert.deepEqual((await walk(page, 5)).slice(0, 5), order)

    for (const scheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme: scheme })
      assert.deepEqual(await poorContrast(page), [], scheme)
      await page.setViewportSize({ width: 360, height: 740 })
      await visitor.shoot(page, `agent-narrow-${scheme}`)
      const widths = 'document.documentElement.scrollWidth <= document.documentElement.clientWidth'
      assert.equal(await page.evaluate(widths), true, 'nothing is cut off beside')
      await page.setViewportSize({ width: 1280, height: 900 })
      await visitor.shoot(page, `agent-wide-${scheme}`)
    }

    // By keyboard alone; the button that changed keeps the focus.
    await ben.getByRole('button', { name: 'Add ben as a friend' }).focus()
    await page.keyboard.press('Enter')
    const unfriend = ben.getByRole('button', { name: 'ben is no friend any more' })
    await unfriend.waitFor()
    assert.equal(await page.evaluate(nameOfFocused), 'ben is no friend any more')

    // A port of ben's, led here and closed again; one that is wrong is told so.
    const ports = page.getByRole('region', { name: 'Ports of games' })
    await ports.getByText('UDP port 7777 here is open to the room.').waitFor()
    const lead = async (local: number) => {
      await ports.getByRole('combobox', { name: 'Protocol' }).selectOption('TCP')
      await ports.getByRole('spinbutton', { name: 'Port here' }).fill(`${local}`)
      await ports.getByRole('combobox', { name: 'Player' }).fill('ben')
      await ports.getByRole('spinbutton', { name: 'Port there' }).fill('80')
      await page.keyboard.press('Enter')
    }
    const local = await freeTcpPort()
    await lead(local)
    await ports.getByText(`TCP port ${local} here leads to ben’s port 80.`).waitFor()
    await page.getByRole('status').filter({ hasText: 'leads to ben now' }).waitFor()
    await lead(local)
    await page
      .getByRole('status')
      .filter({ hasText: `use local TCP port ${local}` })
      .waitFor()
    await visitor.shoot(page, 'agent-forward')
    await ports.getByRole('button', { name: `Close TCP port ${local}` }).focus()
    await page.keyboard.press('Enter')
    await ports.getByText('leads to ben’s').waitFor({ state: 'detached' })

    await page.getByRole('button', { name: 'Copy the invite' }).click()
    await page.getByRole('status').filter({ hasText: 'The invite is copied' }).waitFor()
    assert.match(String(await page.evaluate('navigator.clipboard.readText()')), /^peerpost1/)

    await ben.getByRole('button', { name: 'Block ben' }).click()
    await back.waitFor('disconnected')
    await ben.getByText('You ended the connection.').waitFor()
    await ben.getByRole('button', { name: 'Unblock ben' }).click()
    await ben.getByRole('button', { name: 'Connect to ben' }).click()
    await ben.getByText('linked for').waitFor()

    await page.getByRole('button', { name: 'Leave the room' }).click()
    await page.getByRole('button', { name: 'Join the room' }).waitFor()
    await ben.getByText('gone for').waitFor()
    assert.equal(await ben.getByRole('button', { name: 'Connect to ben' }).count(), 0)
    await visitor.shoot(page, 'agent-left')
    await page.getByRole('button', { name: 'Join the room' }).click()
    await page.getByRole('banner').getByText('joined for').waitFor()

    await page.reload()
    await page.getByRole('heading', { level: 1, name: 'anna in the room friends' }).waitFor()
    const { page: other, complaints: otherComplaints } = await visitor.tab()
    await other.goto(address)
    await other.getByText('This page needs a fresh address.').waitFor()
    assert.match(await treeOf(other), /code: peerpost status --open/)
    await visitor.shoot(other, 'outside')
    assert.ok(
      otherComplaints.every((text) => text.includes('401')),
      otherComplaints.join('\n'),
    )

    await anna.stop(8_000)
    await page.getByRole('status').filter({ hasText: 'The daemon does not answer' }).waitFor()
    assert.deepEqual(
      complaints.filter(
        (text) =>
          !/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_EMPTY_RESPONSE|400 \(Bad Request\)/.test(text),
      ),
      [],
    )
  },
)

test('what others call themselves is text on the page, whatever it looks like', settings, async (context) => {
  const defer = deferIn(context)
  const deployment = await TestDeployment.withHost(defer)
  const odd = '<img src=x onerror=alert(1)>'
  await Promise.all([
    deployment.makeAgent('anna'),
    deployment.makeAgent('ben', 'host', [['name = "ben"', `name = ${JSON.stringify(odd)}`]]),
  ])
  const anna = deployment.startAgent('anna')
  await anna.waitFor('ready')
  const visitor = await browser.visitor(defer)
  const { page, complaints } = await visitor.tab()
  await page.goto(await addressOf(deployment.agentConfig('anna')))
  deployment.startAgent('ben')
  await page.getByRole('heading', { name: odd, exact: true }).waitFor()
  assert.equal(await page.locator('main img').count(), 0)
  assert.deepEqual(complaints, [])
})

test(
  'the page of a host shows how full it is and what came, and no address of those who meet',
  settings,
  async (context) => {
    const defer = deferIn(context)
    const deployment = await TestDeployment.withHost(defer)
    await Promise.all([deployment.makeAgent('anna'), deployment.makeAgent('ben')])
    const visitor = await browser.visitor(defer)
    const { page, complaints } = await visitor.tab()
    await page.goto(await addressOf(deployment.hostConfig()))
    await page.getByRole('heading', { level: 1, name: 'Host at h…@deployment.test' }).waitFor()
    await page.getByText('No letters yet.').waitFor()
    const [anna, ben] = [deployment.startAgent('anna'), deployment.startAgent('ben')]
    await Promise.all([anna.waitFor('connected'), ben.waitFor('connected')])
    await page.getByRole('cell', { name: 'request', exact: true }).waitFor()
    await page.locator('.figure', { hasText: '2 of 10,000' }).waitFor()
    const meter = page.getByRole('meter', { name: 'Agents in the table' })
    assert.equal(await meter.getAttribute('value'), '2')
    const tree = await treeOf(page)
    assert.match(
      tree,
      /region "How full it is":[\s\S]*region "Letters since the start":[\s\S]*columnheader "Outcome"/,
    )
    assert.doesNotMatch(tree, /anna@|ben@|host@/)
    for (const scheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme: scheme })
      assert.deepEqual(await poorContrast(page), [], scheme)
      await visitor.shoot(page, `host-wide-${scheme}`)
    }
    await page.setViewportSize({ width: 360, height: 740 })
    await visitor.shoot(page, 'host-narrow')
    assert.deepEqual(complaints, [])
  },
)

test(
  'on the page of a host invites are made, shown once and revoked, and agents blocked and unblocked',
  settings,
  async (context) => {
    const defer = deferIn(context)
    const deployment = await TestDeployment.withHost(defer)
    await deployment.makeAgent('anna')
    const anna = deployment.startAgent('anna')
    const { id } = await anna.waitFor('ready')
    await anna.waitFor('replied')
    const visitor = await browser.visitor(defer)
    const { page, complaints } = await visitor.tab()
    await page.goto(await addressOf(deployment.hostConfig()))
    const invites = page.getByRole('region', { name: 'Invites' })
    await invites.getByText('1 agent came by it').waitFor()
    await invites.getByRole('textbox', { name: 'Name for the list' }).fill('chess club')
    await invites.getByRole('combobox', { name: 'Ends' }).selectOption('in 30 days')
    await invites.getByRole('spinbutton', { name: 'Agents, at most' }).fill('5')
    await page.keyboard.press('Enter')
    await page.getByRole('status').filter({ hasText: 'It is shown this once.' }).waitFor()
    await invites.getByText(/chess club \(.+\) to friends: open, 0 of 5 agents came by it, until/).waitFor()
    const secret = await invites.locator('.secret').textContent()
    assert.match(secret ?? '', /^peerpost/)
    for (const scheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme: scheme })
      assert.deepEqual(await poorContrast(page), [], scheme)
      await page.setViewportSize({ width: 360, height: 740 })
      const widths = 'document.documentElement.scrollWidth <= document.documentElement.clientWidth'
      assert.equal(await page.evaluate(widths), true, 'nothing is cut off beside')
      await visitor.shoot(page, `host-invites-narrow-${scheme}`)
      await page.setViewportSize({ width: 1280, height: 900 })
    }
    await invites.getByRole('button', { name: 'Put it away' }).click()
    await invites.locator('.secret').waitFor({ state: 'detached' })
    assert.ok(!(await page.content()).includes(secret ?? ''))
    await invites.getByRole('button', { name: /^Revoke chess club/ }).click()
    await invites.getByText(/chess club .* revoked/).waitFor()

    const blocked = page.getByRole('region', { name: 'Blocked agents' })
    const who = blocked.getByRole('textbox', { name: 'User ID, or name' })
    await who.fill('nobody')
    await page.keyboard.press('Enter')
    await page.getByRole('status').filter({ hasText: 'No agent called "nobody" is in the table.' }).waitFor()
    await who.fill('anna')
    await page.keyboard.press('Enter')
    await blocked.getByText(`anna (${String(id).slice(0, 8)}…), since`).waitFor()
    await page.locator('.figure', { hasText: '0 of 10,000' }).waitFor()
    await blocked.getByRole('button', { name: /^Unblock anna/ }).click()
    await blocked.getByText('Nobody is blocked here').waitFor()
    // Browsers complain of every refusal; one was asked for.
    assert.deepEqual(
      complaints.filter((text) => !text.includes('400 (Bad Request)')),
      [],
    )
  },
)

test(
  'whatever is shown after whatever, it comes out as it was made, and elements with a key stay',
  settings,
  async (context) => {
    const defer = deferIn(context)
    const deployment = await TestDeployment.withHost(defer)
    const { page } = await (await browser.visitor(defer)).tab()
    await page.goto(await addressOf(deployment.hostConfig()))
    assert.deepEqual(await page.evaluate(readFileSync('test/e2e/patch-fuzz.js', 'utf8')), [])
  },
)
