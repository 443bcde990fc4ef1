/** Who a certificate says its holder is, and whether the cluster says so too. */
import type { X509Certificate } from 'node:crypto';
import { ntsError } from '../common/errors.js';
import { NODE_URI, isNodeName } from './names.js';
import { sha256 } from './keys.js';

const SAN = `URI:${NODE_URI}`;
const SERIAL = /^[4-7][0-9A-F]{31}$/;
const SERVER_AND_CLIENT = ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'];

export interface Identity {
  readonly name: string;
  /** What stays over renewals, and what a revocation names. */
  readonly id: string;
  readonly serial: string;
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** SHA-256 of the CA's certificate in hexadecimal: what a cluster is known by. */
export function fingerprint(ca: X509Certificate): string {
  return sha256(ca.raw).toString('hex');
}

/** The identity in a certificate of this CA, whatever the time is. Throws where it is none. */
export function identityOf(certificate: X509Certificate, ca: X509Certificate): Identity {
  if (!certificate.checkIssued(ca) || !certificate.verify(ca.publicKey)) {
    const what = 'the certificate is of another cluster';
    throw ntsError('NTS_ERR_WRONG_CLUSTER', { what });
  }
  const { serialNumber, subjectAltName = '', keyUsage } = certificate;
  const name = subjectAltName.startsWith(SAN) ? subjectAltName.slice(SAN.length) : '';
  // Missing at run time where the certificate has no such extension.
  const uses = (keyUsage as string[] | undefined) ?? [];
  const isNode =
    !certificate.ca &&
    isNodeName(name) &&
    SERIAL.test(serialNumber) &&
    SERVER_AND_CLIENT.every((use) => uses.includes(use));
  if (!isNode)
    throw ntsError('NTS_ERR_NOT_A_MEMBER', { what: 'the certificate is not one of a node' });
  return {
    name,
    id: serialNumber.slice(0, 16).toLowerCase(),
    serial: serialNumber.toLowerCase(),
    notBefore: Date.parse(certificate.validFrom),
    notAfter: Date.parse(certificate.validTo),
  };
}

/** Throws where the certificate does not hold now. `whose`: "the certificate of node b". */
export function requireValidAt(identity: Identity, now: number, whose: string): void {
  const { notBefore, notAfter } = identity;
  if (now < notBefore) {
    const what = `${whose} begins to hold at ${iso(notBefore)}, and here it is ${iso(now)}: the clocks differ; set them right`;
    throw ntsError('NTS_ERR_CLOCK_SKEW', { what });
  }
  if (now >= notAfter) {
    const what = `${whose} expired at ${iso(notAfter)}; here it is ${iso(now)}`;
    throw ntsError('NTS_ERR_CERTIFICATE_EXPIRED', { what });
  }
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
