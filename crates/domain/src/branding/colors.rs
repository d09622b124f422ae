//! The colors of a partner's pages, made from the one that it has chosen so that texts can be read: WCAG 2.2, success
//! criteria 1.4.3 (contrast of texts, 4.5:1) and 1.4.11 (of controls, 3:1), level AA.

use std::fmt;

use tenantry_core::error::FieldError;

/// The least contrast of a text (WCAG 2.2, 1.4.3).
const READABLE: f64 = 4.5;

/// The backgrounds of pages in light mode lie between these two, those of dark mode between the other two.
const LIGHT_SURFACES: [Color; 2] = [Color { rgb: [0xff, 0xff, 0xff] }, Color { rgb: [0xf0, 0xf0, 0xf0] }];
const DARK_SURFACES: [Color; 2] = [Color { rgb: [0x00, 0x00, 0x00] }, Color { rgb: [0x2a, 0x2a, 0x2a] }];

const WHITE: Color = Color { rgb: [0xff; 3] };
const BLACK: Color = Color { rgb: [0; 3] };

/// A color of sRGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Color {
    rgb: [u8; 3],
}

impl Color {
    /// Parses `#rrggbb`, in any case of letters.
    ///
    /// # Errors
    /// `malformed-color`.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        let malformed = || {
            FieldError::of_value("malformed-color", "must be # and six hexadecimal digits, such as #0b57d0")
        };
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6);
        let digits =
            digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit())).ok_or_else(malformed)?;
        let number = u32::from_str_radix(digits, 16).map_err(|_| malformed())?;
        let [_, red, green, blue] = number.to_be_bytes();
        Ok(Self { rgb: [red, green, blue] })
    }

    /// The relative luminance (WCAG 2.2), from 0 (black) to 1 (white).
    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let channel = f64::from(channel) / 255.0;
            if channel <= 0.04045 { channel / 12.92 } else { ((channel + 0.055) / 1.055).powf(2.4) }
        };
        let [red, green, blue] = self.rgb.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// The contrast ratio of two colors (WCAG 2.2), from 1 to 21.
    pub fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// A mixture with another color, of which `share` hundredths.
    fn mixed(self, other: Self, share: u16) -> Self {
        let mut rgb = self.rgb;
        for (channel, to) in rgb.iter_mut().zip(other.rgb) {
            let sum = u16::from(*channel) * (100 - share) + u16::from(to) * share;
            *channel = u8::try_from((sum + 50) / 100).unwrap_or(u8::MAX);
        }
        Self { rgb }
    }

    /// The nearest mixture with `towards` that can be read on all of the backgrounds.
    fn readable_on(self, backgrounds: [Self; 2], towards: Self) -> Self {
        let is_readable = |color: &Self| backgrounds.iter().all(|below| color.contrast(*below) >= READABLE);
        (0..=100).map(|share| self.mixed(towards, share)).find(is_readable).unwrap_or(towards)
    }

    /// White or black, whichever is easier to read on this color: the better one has a contrast of at least 4.58.
    fn text_on(self) -> Self {
        if self.contrast(WHITE) >= self.contrast(BLACK) { WHITE } else { BLACK }
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.rgb;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

/// The colors of one mode, light or dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModeColors {
    /// The partner's color, darkened for light mode or lightened for dark mode as far as needed: of buttons, links and
    /// borders on the page.
    pub accent: Color,
    /// The color of texts on it.
    pub on_accent: Color,
}

/// The colors of a partner's pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageColors {
    /// In light mode.
    pub light: ModeColors,
    /// In dark mode.
    pub dark: ModeColors,
}

impl PageColors {
    /// Computes them.
    pub fn of(color: Color) -> Self {
        let mode = |backgrounds, towards| {
            let accent = color.readable_on(backgrounds, towards);
            ModeColors { accent, on_accent: accent.text_on() }
        };
        Self { light: mode(LIGHT_SURFACES, BLACK), dark: mode(DARK_SURFACES, WHITE) }
    }

    /// As a stylesheet: the custom properties `--accent`, `--on-accent` and `--link` of pages, in the cascade layer
    /// `brand`, which follows that of the pages' own colors (crates/web/static/pages.css).
    pub fn stylesheet(&self) -> String {
        let properties = |ModeColors { accent, on_accent }: ModeColors| {
            format!("--accent:{accent};--on-accent:{on_accent};--link:{accent}")
        };
        let (light, dark) = (properties(self.light), properties(self.dark));
        format!("@layer brand{{:root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}}}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn color(text: &str) -> Color {
        Color::parse(text).unwrap()
    }

    #[test]
    fn contrasts_are_those_of_the_recommendation() {
        let table = [
            ("#000000", "#ffffff", 21.0),
            ("#ffffff", "#ffffff", 1.0),
            ("#767676", "#ffffff", 4.54),
            ("#777777", "#ffffff", 4.48),
            ("#ff0000", "#ffffff", 4.0),
            ("#0000ff", "#ffffff", 8.59),
        ];
        for (one, two, expected) in table {
            let contrast = color(one).contrast(color(two));
            assert!((contrast - expected).abs() < 0.005, "{one} on {two}: {contrast}");
            assert!((contrast - color(two).contrast(color(one))).abs() < 1e-12);
        }
    }

    #[test]
    fn colors_are_six_hexadecimal_digits() {
        assert_eq!(color("#0B57d0").to_string(), "#0b57d0");
        for bad in [
            "",
            "#",
            "0b57d0",
            "#0b57d",
            "#0b57d0f",
            "#0b57d\u{e9}",
            "#+b57d0",
            "red",
            " #0b57d0",
            "#0b57d0;",
        ] {
            assert_eq!(Color::parse(bad).unwrap_err().code, "malformed-color", "{bad}");
        }
    }

    /// Every color whose channels are multiples of 15, in both modes: what is written in it or on it can be read.
    #[test]
    fn every_color_becomes_readable() {
        let channels = || (0..=255u8).step_by(15);
        for red in channels() {
            for green in channels() {
                for blue in channels() {
                    let chosen = Color { rgb: [red, green, blue] };
                    let PageColors { light, dark } = PageColors::of(chosen);
                    for (mode, backgrounds) in [(light, LIGHT_SURFACES), (dark, DARK_SURFACES)] {
                        assert!(mode.accent.contrast(mode.on_accent) >= READABLE, "{chosen}: {mode:?}");
                        for background in backgrounds {
                            assert!(mode.accent.contrast(background) >= READABLE, "{chosen}: {mode:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_color_that_can_be_read_stays() {
        let PageColors { light, dark } = PageColors::of(color("#0b57d0"));
        assert_eq!((light.accent, light.on_accent), (color("#0b57d0"), WHITE));
        assert_ne!(dark.accent, color("#0b57d0"), "it is too dark on a dark page");
        let PageColors { light, dark } = PageColors::of(color("#ffd400"));
        assert_ne!(light.accent, color("#ffd400"), "yellow on white");
        assert_eq!((dark.accent, dark.on_accent), (color("#ffd400"), BLACK));
    }

    #[test]
    fn the_stylesheet_has_colors_and_nothing_else() {
        let css = PageColors::of(color("#0b57d0")).stylesheet();
        let light = "@layer brand{:root{--accent:#0b57d0;--on-accent:#ffffff;--link:#0b57d0}";
        assert!(
            css.starts_with(&format!("{light}@media (prefers-color-scheme:dark){{:root{{--accent:#")),
            "{css}"
        );
        assert!(css.ends_with("}}}\n") && css.matches("--on-accent:#").count() == 2, "{css}");
    }
}
