// Reads the files of the page. They are not built, so a checkout and the package have the same files.

import { readFile } from 'node:fs/promises'

export type PageFile = { readonly bytes: Uint8Array<ArrayBuffer>; readonly type: string }

/** Both src/api and dist/api find the page here. */
const folder = new URL('./page/', import.meta.url)

const types: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
}

/** Null when the page has no such file. */
export async function readPageFile(name: string): Promise<PageFile | null> {
  const [, ending = ''] = /^[a-z][a-z-]{0,40}\.(html|js|css|svg)$/.exec(name) ?? []
  const type = types[ending]
  if (!type) return null
  try {
    return { bytes: new Uint8Array(await readFile(new URL(name, folder))), type }
  } catch {
    return null
  }
}
