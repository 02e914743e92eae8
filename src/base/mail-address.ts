// Comparing mail addresses whose syntax is checked already.

/** Ignores case also before the @. RFC 5321 allows it to matter there, but providers ignore it and servers change it. */
export function sameAddress(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}

/** The text after the last @, in its original case. The whole text when there is no @. */
export function domainOf(address: string): string {
  return address.slice(address.lastIndexOf('@') + 1)
}
