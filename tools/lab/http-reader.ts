// Reads the responses of one HTTP connection as their bytes arrive: one after the other, each with a Content-Length.

export interface ResponseHandler {
  /** The header is complete. */
  head(server: string, bytes: number): void;
  body(data: Buffer): void;
  /** The response is complete. */
  end(): void;
}

export class HttpReader {
  private head = '';
  /** Of the body, still to come; null while a header is read. */
  private left: number | null = null;

  constructor(private readonly handler: ResponseHandler) {}

  /** Throws on what is no such response. */
  feed(data: Buffer): void {
    let rest = data;
    while (rest.length > 0) rest = this.left === null ? this.readHead(rest) : this.readBody(rest);
  }

  private readHead(data: Buffer): Buffer {
    const before = this.head.length;
    this.head += data.toString('latin1');
    const end = this.head.indexOf('\r\n\r\n');
    if (end < 0) {
      if (this.head.length > 8192) throw new Error('no end of the header');
      return data.subarray(data.length);
    }
    const head = this.head.slice(0, end);
    this.head = '';
    const field = (name: string) => new RegExp(`^${name}: *(.*)$`, 'im').exec(head)?.[1]?.trim();
    const length = field('content-length');
    const server = field('server');
    if (!head.startsWith('HTTP/1.1 200 ') || length === undefined || server === undefined)
      throw new Error(`not the response that was expected: ${head.split('\r\n')[0] ?? ''}`);
    this.left = Number(length);
    this.handler.head(server, this.left);
    if (this.left === 0) this.finish();
    return data.subarray(end + 4 - before);
  }

  private readBody(data: Buffer): Buffer {
    const part = data.subarray(0, this.left!);
    this.left! -= part.length;
    this.handler.body(part);
    if (this.left === 0) this.finish();
    return data.subarray(part.length);
  }

  private finish(): void {
    this.left = null;
    this.handler.end();
  }
}
