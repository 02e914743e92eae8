// Debian's Chromium, driven by playwright-core, with a profile of its own that is thrown away.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BrowserContext, chromium, type Page } from 'playwright-core'
import { findProgram } from './needs.ts'

export type { Page } from 'playwright-core'

/** Not in git: what the pages looked like. */
const output = 'test-output/pages'

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

export class Browser {
  readonly #context: BrowserContext
  readonly #folder: string

  private constructor(context: BrowserContext, folder: string) {
    this.#context = context
    this.#folder = folder
  }

  static async open(defer: (end: () => Promise<unknown>) => void): Promise<Browser> {
    const folder = mkdtempSync(join(tmpdir(), 'peerpost-browser-'))
    mkdirSync(output, { recursive: true })
    const executablePath = findProgram('chromium')
    if (!executablePath) throw new Error('there is no chromium')
    const context = await chromium.launchPersistentContext(folder, {
      ...{ executablePath, headless: true, args: flags, viewport: { width: 1280, height: 900 } },
      permissions: ['clipboard-read', 'clipboard-write'],
    })
    const browser = new Browser(context, folder)
    defer(() => browser.close())
    return browser
  }

  /** A new tab. `complaints` gathers what goes wrong in it: errors, refused by the policy, requests elsewhere. */
  async tab(): Promise<{ readonly page: Page; readonly complaints: string[] }> {
    const page = await this.#context.newPage()
    page.setDefaultTimeout(30_000)
    const complaints: string[] = []
    page.on('pageerror', (error) => complaints.push(`error: ${error.message}`))
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(`console: ${message.text()}`)
    })
    return { page, complaints }
  }

  async shoot(page: Page, name: string): Promise<void> {
    await page.screenshot({ path: join(output, `${name}.png`), fullPage: true })
  }

  async close(): Promise<void> {
    await this.#context.close()
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  }
}
