/**
 * A photo as it is kept: drawn anew, so that nothing of what the camera wrote beside it can stay, upright, and small enough
 * to send from a train. Spec: docs/spec/attachments.md. The core strips once more what comes out of here.
 */
import { Failure, type NewFile } from "../app/engine";

/** Sharp on a tablet, some 500 kB. */
const MOST_PIXELS = 2048;
const QUALITY = 0.85;
const PREVIEW_PIXELS = 240;
const PREVIEW_BYTES = 8_000;
const LARGEST_AS_IS = 33_554_432;

/** Throws Failure `bad_attachment` for what this browser cannot show and is no PDF. */
export async function fileToKeep(file: File): Promise<NewFile> {
  if (file.type === "application/pdf") {
    if (file.size > LARGEST_AS_IS) throw new Failure("bad_attachment");
    return { name: file.name || "brief.pdf", data: await bytesOf(file), asIs: true };
  }
  const picture = await opened(file);
  try {
    const preview = await smallest(picture);
    return {
      name: "foto.jpg",
      data: await drawn(picture, MOST_PIXELS, QUALITY),
      ...(preview && { preview }),
    };
  } finally {
    picture.close();
  }
}

async function opened(file: Blob): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    throw new Failure("bad_attachment");
  }
}

async function smallest(picture: ImageBitmap): Promise<Uint8Array | undefined> {
  for (const quality of [0.7, 0.5, 0.3, 0.1]) {
    const found = await drawn(picture, PREVIEW_PIXELS, quality);
    if (found.length <= PREVIEW_BYTES) return found;
  }
  return undefined;
}

async function drawn(picture: ImageBitmap, most: number, quality: number): Promise<Uint8Array> {
  const scale = Math.min(1, most / Math.max(picture.width, picture.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  const pen = canvas.getContext("2d");
  if (!pen) throw new Failure("bad_attachment");
  // JPEG knows no see-through places: they would come out black.
  pen.fillStyle = "white";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise<Blob | null>((done) => canvas.toBlob(done, "image/jpeg", quality));
  if (!blob) throw new Failure("bad_attachment");
  return bytesOf(blob);
}

async function bytesOf(blob: Blob): Promise<Uint8Array> {
  return new Uint8Array(await blob.arrayBuffer());
}
