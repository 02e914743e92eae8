// The texts of UPnP: search answers, device descriptions, actions and their answers (UPnP Device Architecture
// 1.1, WANIPConnection 1 and 2). Only what a port mapping needs is parsed, by scanning. The texts may come from
// any device, so their size is limited before they get here.

export type Service = {
  readonly type: string
  /** A URL or a path, as written in the description. */
  readonly controlUrl: string
}

/** Services that map ports, best first. DSL routers have the last one. */
const mappingServices = [
  'urn:schemas-upnp-org:service:WANIPConnection:2',
  'urn:schemas-upnp-org:service:WANIPConnection:1',
  'urn:schemas-upnp-org:service:WANPPPConnection:1',
]
/** A router may have several Internet connections. */
const maxServices = 4

/** `MX`: the seconds over which answers may be spread. */
export function searchRequest(deviceType: string, host: string): string {
  return [
    'M-SEARCH * HTTP/1.1',
    `HOST: ${host}`,
    'MAN: "ssdp:discover"',
    'MX: 1',
    `ST: ${deviceType}`,
    '',
    '',
  ].join('\r\n')
}

/** The URL of the device description; null unless this is a plain search answer. */
export function parseSearchAnswer(text: string): string | null {
  if (!/^HTTP\/1\.[01] 200\b/.test(text)) return null
  return /^location:[ \t]*(\S{1,500})[ \t]*\r?$/im.exec(text)?.[1] ?? null
}

/** The services of a device description that map ports, best first. */
export function parseServices(description: string): Service[] {
  const services = elements(description, 'service').flatMap((element) => {
    const [type, controlUrl] = [textOf(element, 'serviceType'), textOf(element, 'controlURL')]
    return type !== null && controlUrl !== null && mappingServices.includes(type)
      ? [{ type, controlUrl }]
      : []
  })
  return services
    .sort((a, b) => mappingServices.indexOf(a.type) - mappingServices.indexOf(b.type))
    .slice(0, maxServices)
}

/** The base of the paths in a description, where it names one (UPnP 1.0). */
export function parseUrlBase(description: string): string | null {
  return textOf(description, 'URLBase')
}

/** The body of a SOAP request. Values must not need escaping. */
export function actionRequest(
  serviceType: string,
  action: string,
  values: Readonly<Record<string, string | number>>,
): string {
  const fields = Object.entries(values).map(([name, value]) => `<${name}>${value}</${name}>`)
  return `<?xml version="1.0"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">
<s:Body><u:${action} xmlns:u="${serviceType}">${fields.join('')}</u:${action}></s:Body>
</s:Envelope>`
}

/** The text of the first element of this name, whatever its namespace prefix; null when there is none. */
export function textOf(xml: string, name: string): string | null {
  const [element] = elements(xml, name, 1)
  return element === undefined ? null : decodeEntities(element.trim())
}

/** UPnP's error code in a SOAP fault; 0 when there is none. */
export function errorCodeOf(fault: string): number {
  return Number(textOf(fault, 'errorCode')) || 0
}

/**
 * The contents of the elements of this name. Takes linear time: each place is scanned once, and no element
 * nests in itself.
 */
function elements(xml: string, name: string, most = 64): string[] {
  const open = new RegExp(`<(?:[\\w-]{1,32}:)?${name}(?:\\s[^<>]{0,500})?>`, 'g')
  const close = new RegExp(`</(?:[\\w-]{1,32}:)?${name}\\s{0,8}>`, 'g')
  const found: string[] = []
  for (let match = open.exec(xml); match && found.length < most; match = open.exec(xml)) {
    close.lastIndex = open.lastIndex
    const end = close.exec(xml)
    if (!end) break
    found.push(xml.slice(open.lastIndex, end.index))
    open.lastIndex = close.lastIndex
  }
  return found
}

function decodeEntities(text: string): string {
  const characters: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' }
  return text.replace(/&(lt|gt|quot|apos|amp);/g, (_whole, name: string) => characters[name] ?? '')
}
