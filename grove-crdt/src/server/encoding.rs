//! How a body is compressed.

use std::io::{self, Read};

use axum::http::{HeaderMap, HeaderValue, header::CONTENT_ENCODING};
use flate2::read::MultiGzDecoder;

use crate::server::error::ErrorAnswer;

/// The largest window a zstd body may ask for, as a power of two: what RFC 8878 tells every decoder to support.
const ZSTD_WINDOW: u32 = 23;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

impl Encoding {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, ErrorAnswer> {
        match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
            None | Some(b"identity") => Ok(Self::Identity),
            Some(b"gzip") => Ok(Self::Gzip),
            Some(b"zstd") => Ok(Self::Zstd),
            Some(_) => Err(ErrorAnswer::unsupported_media_type(
                "a request is compressed with `gzip` or `zstd`, once, or not at all",
            )),
        }
    }

    /// What the body was before it was compressed, unless that is too large.
    pub(super) fn decode(self, body: Vec<u8>, limit: usize) -> Result<Vec<u8>, ErrorAnswer> {
        let decoded = match self {
            Self::Identity => return Ok(body),
            Self::Gzip => read_some(MultiGzDecoder::new(&*body), limit),
            Self::Zstd => zstd_decoder(&body).and_then(|decoder| read_some(decoder, limit)),
        };
        let decoded = decoded.map_err(|_| ErrorAnswer::malformed("the body can't be decompressed"))?;
        if decoded.len() > limit {
            Err(ErrorAnswer::body_too_large(limit))
        } else {
            Ok(decoded)
        }
    }
}

fn zstd_decoder(body: &[u8]) -> io::Result<impl Read> {
    let mut decoder = zstd::Decoder::with_buffer(body)?;
    decoder.window_log_max(ZSTD_WINDOW)?;
    Ok(decoder)
}

/// Everything, or one byte more than the limit.
fn read_some(decoder: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    decoder.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compressed(bytes: &[u8]) -> [(Encoding, Vec<u8>); 3] {
        let mut gzip = Vec::new();
        flate2::read::GzEncoder::new(bytes, flate2::Compression::best())
            .read_to_end(&mut gzip)
            .unwrap();
        [
            (Encoding::Identity, bytes.to_vec()),
            (Encoding::Gzip, gzip),
            (Encoding::Zstd, zstd::encode_all(bytes, 0).unwrap()),
        ]
    }

    #[test]
    fn what_was_compressed_comes_back_up_to_the_limit() {
        let bytes = vec![b' '; 10_000];
        for (encoding, body) in compressed(&bytes) {
            assert_eq!(encoding.decode(body, 10_000).unwrap(), bytes, "{encoding:?}");
        }
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        for (encoding, body) in compressed(&vec![0; 50_000_000]).into_iter().skip(1) {
            assert!(body.len() < 100_000);
            let error = encoding.decode(body, 10_000).unwrap_err();
            assert_eq!(error, ErrorAnswer::body_too_large(10_000), "{encoding:?}");
        }
    }

    #[test]
    fn a_zstd_window_of_gigabytes_is_refused() {
        // A frame's header: the magic number, then a window descriptor with the largest exponent.
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00];
        let error = Encoding::Zstd.decode(frame.to_vec(), 10_000).unwrap_err();
        assert_eq!(error, ErrorAnswer::malformed("the body can't be decompressed"));
    }
}
