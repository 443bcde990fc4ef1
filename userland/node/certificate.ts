/**
 * Certificates: the cluster's CA, and one for each node.
 *
 * A node's certificate names it by the URI `ntswift:node:NAME`, its only subject alternative name. Its
 * serial number is 16 bytes: the first 8 are the node's id, drawn when it joined and kept over renewals, the
 * others are drawn for each certificate. So one revocation of an id covers every certificate that the node
 * ever got, by whichever holder of the CA's key.
 *
 * RFC 5280. Created by @peculiar/x509 on WebCrypto, checked by OpenSSL through node:crypto.
 */
import 'reflect-metadata';
import { type KeyObject, X509Certificate, randomBytes, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { CLOCK_TOLERANCE, DAY } from './clock.js';
import { publicKeyOf } from './keys.js';
import { NODE_URI } from './names.js';

const CA_LIFETIME = 3653 * DAY;
export const CERTIFICATE_LIFETIME = 365 * DAY;

const ECDSA = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const SIGNATURE = { name: 'ECDSA', hash: 'SHA-256' } as const;

x509.cryptoProvider.set(webcrypto);

/** 8 bytes in hexadecimal. The first byte is neither zero nor negative, so that serial numbers keep 16 bytes. */
export function newNodeId(): string {
  const bytes = randomBytes(8);
  bytes[0] = 0x40 | (bytes[0]! & 0x3f);
  return bytes.toString('hex');
}

async function webPrivate(key: KeyObject): Promise<webcrypto.CryptoKey> {
  const der = key.export({ type: 'pkcs8', format: 'der' });
  return webcrypto.subtle.importKey('pkcs8', der, ECDSA, false, ['sign']);
}

async function webPublic(spki: Buffer): Promise<webcrypto.CryptoKey> {
  return webcrypto.subtle.importKey('spki', spki, ECDSA, true, ['verify']);
}

export async function createCa(
  key: KeyObject,
  cluster: string,
  now: number,
): Promise<X509Certificate> {
  const publicKey = await webPublic(publicKeyOf(key));
  const serialNumber = newNodeId() + randomBytes(8).toString('hex');
  // Part of the subject, since two clusters may have the same name.
  const subject = `CN=${cluster} ${serialNumber.slice(-8)}, O=ntswift cluster`;
  const usage = x509.KeyUsageFlags;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber,
    subject,
    issuer: subject,
    notBefore: new Date(now - CLOCK_TOLERANCE),
    notAfter: new Date(now + CA_LIFETIME),
    signingKey: await webPrivate(key),
    publicKey,
    signingAlgorithm: SIGNATURE,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(usage.keyCertSign | usage.cRLSign | usage.digitalSignature, true),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
    ],
  });
  return new X509Certificate(certificate.toString('pem'));
}

export interface NodeCertificateOptions {
  readonly caKey: KeyObject;
  readonly ca: X509Certificate;
  readonly name: string;
  readonly id: string;
  /** SubjectPublicKeyInfo of the node's key. */
  readonly publicKey: Buffer;
  readonly now: number;
  /** Milliseconds; default: a year. */
  readonly lifetime?: number;
}

export async function createNodeCertificate(
  options: NodeCertificateOptions,
): Promise<X509Certificate> {
  const { caKey, ca, name, id, now, lifetime = CERTIFICATE_LIFETIME } = options;
  const issuer = new x509.X509Certificate(ca.raw);
  const publicKey = await webPublic(options.publicKey);
  const end = Math.min(now + lifetime, Date.parse(ca.validTo));
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: id + randomBytes(8).toString('hex'),
    subject: `CN=${name}, O=ntswift node`,
    issuer: issuer.subject,
    notBefore: new Date(now - CLOCK_TOLERANCE),
    notAfter: new Date(end),
    signingKey: await webPrivate(caKey),
    publicKey,
    signingAlgorithm: SIGNATURE,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.serverAuth,
        x509.ExtendedKeyUsage.clientAuth,
      ]),
      new x509.SubjectAlternativeNameExtension([{ type: 'url', value: NODE_URI + name }]),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
    ],
  });
  return new X509Certificate(certificate.toString('pem'));
}
