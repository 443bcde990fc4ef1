/**
 * Keys: ECDSA on P-256, which every TLS library and every certificate tool has.
 *
 * The CA's key signs certificates and membership documents, a node's key TLS handshakes and its own
 * requests. What is signed here begins with a label, so that a signature for one purpose is none for
 * another; no label begins as DER does.
 */
import {
  type KeyObject,
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
  verify,
} from 'node:crypto';
import { ntsError } from '../common/errors.js';

const CURVE = 'prime256v1';

export type SignatureLabel = 'ntswift membership 1' | 'ntswift possession 1';

export function newKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

export function keyToPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** Throws what OpenSSL throws where the text is no key. */
export function keyFromPem(pem: string, passphrase?: string): KeyObject {
  return createPrivateKey({ key: pem, format: 'pem', ...(passphrase ? { passphrase } : {}) });
}

/** SubjectPublicKeyInfo, of a private key too. */
export function publicKeyOf(key: KeyObject): Buffer {
  const open = key.type === 'private' ? createPublicKey(key) : key;
  return open.export({ type: 'spki', format: 'der' });
}

/** From a peer: anything but a point on P-256 is refused. */
export function parsePublicKey(der: Buffer): KeyObject {
  let key;
  try {
    key = createPublicKey({ key: der, type: 'spki', format: 'der' });
  } catch (error) {
    throw ntsError(
      'NTS_ERR_PEER_PROTOCOL',
      { what: 'what came is no public key' },
      { cause: error },
    );
  }
  if (key.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== CURVE) {
    throw ntsError('NTS_ERR_PEER_PROTOCOL', { what: 'the public key is not one on P-256' });
  }
  return key;
}

export function sha256(data: Uint8Array | string): Buffer {
  return createHash('sha256').update(data).digest();
}

function labelled(label: SignatureLabel, data: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${label}\0`), data]);
}

export function signWith(key: KeyObject, label: SignatureLabel, data: Uint8Array): Buffer {
  return sign('sha256', labelled(label, data), { key, dsaEncoding: 'ieee-p1363' });
}

export function isSignedBy(
  key: KeyObject,
  label: SignatureLabel,
  data: Uint8Array,
  signature: Uint8Array,
): boolean {
  return verify('sha256', labelled(label, data), { key, dsaEncoding: 'ieee-p1363' }, signature);
}
