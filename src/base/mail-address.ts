// What every room may ask of a mail address, whose form mail/address.ts has checked.

/** Without regard to case, as every provider in use compares them; mail servers rewrite it. */
export function sameAddress(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}

/** What is behind the @, in the case it came in; all of what has none. */
export function domainOf(address: string): string {
  return address.slice(address.lastIndexOf('@') + 1)
}
