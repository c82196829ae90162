/** Reading a QR code from a camera or a photo: the browser's own reader where there is one, else jsQR, loaded when it is needed. */

interface Detector {
  detect(from: CanvasImageSource): Promise<{ rawValue: string }[]>;
}
type DetectorClass = {
  new (options: { formats: string[] }): Detector;
  getSupportedFormats(): Promise<string[]>;
};
export type Reader = (from: HTMLVideoElement | ImageBitmap) => Promise<string | null>;

/** Large enough for a dense code, small enough for an old phone. */
const MOST_PX = 1_000;

export async function qrReader(): Promise<Reader> {
  return (await ownReader()) ?? (await drawnReader());
}

async function ownReader(): Promise<Reader | null> {
  const Found = (globalThis as { BarcodeDetector?: DetectorClass }).BarcodeDetector;
  try {
    if (!Found || !(await Found.getSupportedFormats()).includes("qr_code")) return null;
    const detector = new Found({ formats: ["qr_code"] });
    return async (from) => (await detector.detect(from))[0]?.rawValue ?? null;
  } catch {
    // There by name, and not working: some systems say so only now.
    return null;
  }
}

async function drawnReader(): Promise<Reader> {
  const { default: jsQR } = await import("jsqr");
  const canvas = document.createElement("canvas");
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  return async (from) => {
    const [wide, high] =
      "videoWidth" in from ? [from.videoWidth, from.videoHeight] : [from.width, from.height];
    if (!pen || !wide || !high) return null;
    const scale = Math.min(1, MOST_PX / Math.max(wide, high));
    canvas.width = Math.round(wide * scale);
    canvas.height = Math.round(high * scale);
    pen.drawImage(from, 0, 0, canvas.width, canvas.height);
    const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
    return jsQR(data, canvas.width, canvas.height)?.data ?? null;
  };
}
