//! Logos: PNG images of strangers, decoded within bounds and encoded again, so that nothing of the file is served that
//! is not a pixel.

use std::io::Cursor;

use png::{BitDepth, ColorType, Compression, Decoder, DecodingError, Encoder, Limits, Transformations};

use tenantry_core::error::{Error, FieldError, Result};

/// The greatest width and height, in pixels.
const LOGO_SIDE: u32 = 1024;

/// The largest file that is stored, in bytes. Twice what may be sent: a palette becomes pixels of four bytes.
const LARGEST_STORED: usize = 512 * 1024;

/// Memory for chunks that the decoder holds; pixels are bounded by [`LOGO_SIDE`].
const DECODER_BYTES: usize = 8 * 1024 * 1024;

/// A logo that this server has encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logo {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The PNG.
    pub png: Vec<u8>,
}

/// Decodes a PNG and encodes its pixels again: gray or color, with or without transparency, of 8 bits. Texts, profiles,
/// frames of an animation after the first and all other chunks are gone. Takes some ten milliseconds: not for a thread
/// that serves requests.
///
/// # Errors
/// `malformed-image`, `image-too-large`.
pub fn encode_again(file: &[u8]) -> Result<Logo> {
    let mut decoder = Decoder::new_with_limits(Cursor::new(file), Limits { bytes: DECODER_BYTES });
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    // Before any pixel: a small file can say that it has billions of them.
    let header = decoder.read_header_info().map_err(malformed)?;
    let (width, height) = (header.width, header.height);
    if width > LOGO_SIDE || height > LOGO_SIDE {
        return Err(too_large(format!(
            "has {width} x {height} pixels: use at most {LOGO_SIDE} x {LOGO_SIDE}"
        )));
    }
    let mut reader = decoder.read_info().map_err(malformed)?;
    let length = reader.output_buffer_size().ok_or_else(|| too_large("has too many pixels".into()))?;
    let mut pixels = vec![0; length];
    let frame = reader.next_frame(&mut pixels).map_err(malformed)?;
    let pixels = pixels.get(..frame.buffer_size()).unwrap_or_default();
    let is_whole = (frame.width, frame.height, frame.bit_depth) == (width, height, BitDepth::Eight);
    if !is_whole || frame.color_type == ColorType::Indexed {
        return Err(FieldError::new("", "malformed-image", "is not a PNG image that can be used").into());
    }
    let png = encode(width, height, frame.color_type, pixels)
        .map_err(|e| Error::internal(format!("a logo cannot be encoded: {e}")))?;
    if png.len() > LARGEST_STORED {
        return Err(too_large("has too many different pixels: use fewer, or a simpler image".into()));
    }
    Ok(Logo { width, height, png })
}

fn encode(
    width: u32,
    height: u32,
    color: ColorType,
    pixels: &[u8],
) -> std::result::Result<Vec<u8>, png::EncodingError> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, width, height);
    encoder.set_color(color);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::High);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(file)
}

/// The error of the decoder is not quoted: it may quote the file.
fn malformed(error: DecodingError) -> Error {
    match error {
        DecodingError::LimitsExceeded => too_large("needs too much memory to decode".into()),
        DecodingError::IoError(_) | DecodingError::Format(_) | DecodingError::Parameter(_) => {
            FieldError::new("", "malformed-image", "is not a PNG image, or a damaged one").into()
        }
    }
}

fn too_large(detail: String) -> Error {
    FieldError::new("", "image-too-large", detail).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32, color: ColorType, pixels: &[u8]) -> Vec<u8> {
        encode(width, height, color, pixels).unwrap()
    }

    fn code(file: &[u8]) -> &'static str {
        match encode_again(file) {
            Err(Error::Invalid(errors)) => errors[0].code,
            other => panic!("{other:?}"),
        }
    }

    fn crc(bytes: &[u8]) -> u32 {
        let mut crc = u32::MAX;
        for byte in bytes {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
            }
        }
        !crc
    }

    fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let named = [kind.as_slice(), data].concat();
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        [length.as_slice(), &named, &crc(&named).to_be_bytes()].concat()
    }

    /// A file whose header says a size.
    fn announcing(width: u32, height: u32) -> Vec<u8> {
        let header = [width.to_be_bytes().as_slice(), &height.to_be_bytes(), &[8, 6, 0, 0, 0]].concat();
        [b"\x89PNG\r\n\x1a\n".as_slice(), &chunk(b"IHDR", &header)].concat()
    }

    #[test]
    fn pixels_are_kept_and_metadata_is_removed() {
        let pixels: Vec<u8> = (0..3 * 2 * 4).map(|n| n * 10).collect();
        let file = png(3, 2, ColorType::Rgba, &pixels);
        // A text, and trailing data, such as another file.
        let text = chunk(b"tEXt", b"Comment\0<script>alert(1)</script>");
        let file = [&file[..33], &text, &file[33..], b"<html><script>alert(2)</script>"].concat();
        let logo = encode_again(&file).unwrap();
        assert_eq!((logo.width, logo.height), (3, 2));
        assert!(!String::from_utf8_lossy(&logo.png).contains("script"));
        assert!(logo.png.len() < file.len());
        let mut reader = Decoder::new(Cursor::new(&logo.png)).read_info().unwrap();
        let mut read = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut read).unwrap();
        assert_eq!(read, pixels);
        assert_eq!(encode_again(&logo.png).unwrap(), logo, "the same pixels are the same file");
    }

    #[test]
    fn palettes_and_few_bits_become_eight() {
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, 8, 1);
        encoder.set_color(ColorType::Indexed);
        encoder.set_depth(BitDepth::One);
        encoder.set_palette(vec![255, 0, 0, 0, 255, 0]);
        encoder.set_trns(vec![0, 255]);
        encoder.write_header().unwrap().write_image_data(&[0b0101_0101]).unwrap();
        let logo = encode_again(&file).unwrap();
        let mut reader = Decoder::new(Cursor::new(&logo.png)).read_info().unwrap();
        let mut read = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut read).unwrap();
        assert_eq!((frame.color_type, frame.bit_depth), (ColorType::Rgba, BitDepth::Eight));
        assert_eq!(&read[..8], [255, 0, 0, 0, 0, 255, 0, 255]);
    }

    #[test]
    fn sixteen_bits_become_eight() {
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, 1, 1);
        encoder.set_color(ColorType::Grayscale);
        encoder.set_depth(BitDepth::Sixteen);
        encoder.write_header().unwrap().write_image_data(&[0x80, 0x01]).unwrap();
        assert_eq!(encode_again(&file).unwrap().width, 1);
    }

    #[test]
    fn what_is_no_png_is_refused() {
        let good = png(2, 2, ColorType::Grayscale, &[0; 4]);
        for bad in [
            b"".as_slice(),
            b"GIF89a",
            b"\xff\xd8\xff\xe0",
            b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
            &good[..8],
            &good[..40],
            &[&good[..45], b"xxxx", &good[49..]].concat(),
        ] {
            assert_eq!(code(bad), "malformed-image", "{bad:?}");
        }
    }

    #[test]
    fn bombs_are_refused_before_they_are_decoded() {
        for (width, height) in [(1025, 1), (1, 1025), (30_000, 30_000), (i32::MAX as u32, i32::MAX as u32)] {
            assert_eq!(code(&announcing(width, height)), "image-too-large", "{width} x {height}");
        }
        assert_eq!(code(&announcing(0, 1)), "malformed-image");
        assert_eq!(code(&announcing(1024, 1024)), "malformed-image", "it has no pixels");
        // A few kilobytes that are a megapixel: as large as a logo may be.
        let large = png(1024, 1024, ColorType::Rgba, &vec![7; 4 << 20]);
        assert!(large.len() < 20_000);
        assert_eq!(encode_again(&large).unwrap().height, 1024);
    }

    #[test]
    fn chunks_that_inflate_are_not_inflated() {
        let zeros = flate2_zlib(&vec![0; 64 << 20]);
        let good = png(1, 1, ColorType::Grayscale, &[0]);
        for (kind, name) in [(b"zTXt", b"a\0\0".as_slice()), (b"iCCP", b"a\0\0")] {
            let bomb = chunk(kind, &[name, &zeros].concat());
            let file = [&good[..33], &bomb, &good[33..]].concat();
            assert_eq!(encode_again(&file).unwrap().width, 1);
        }
    }

    fn flate2_zlib(bytes: &[u8]) -> Vec<u8> {
        use std::io::Write as _;
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn noise_is_too_large() {
        let random = tenantry_core::random::Random::seeded(1);
        let noise: Vec<u8> = (0..600 * 600 * 4).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
        assert_eq!(code(&png(600, 600, ColorType::Rgba, &noise)), "image-too-large");
    }
}
