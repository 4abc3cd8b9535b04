package masking

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The part of a base64 text that does not depend on what stands beside the secret; shorter ones appear by chance.
const shortestCore = 6

// forms are those in which a secret may appear in a text: as it is, escaped, quoted for URLs, in base64.
func forms(secret string) []string {
	found := []string{
		secret, jsonForm(secret, false), jsonForm(secret, true), goJSONForm(secret), reprForm(secret),
		inner(strconv.Quote(secret)), inner(strconv.QuoteToASCII(secret)),
	}
	for _, quoted := range []string{percentForm(secret, ""), percentForm(secret, "/"), plusForm(secret)} {
		found = append(found, quoted, lowerHex(quoted))
	}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		whole := encoding.EncodeToString([]byte(secret))
		found = append(found, whole, strings.TrimRight(whole, "="))
		// Inside something larger, such as `login:password`, it may begin at any of three places of a group.
		for shift := range 3 {
			encoded := encoding.EncodeToString(append(make([]byte, shift), secret...))
			core := encoded[(shift*8+5)/6 : (shift+len(secret))*8/6]
			if len(core) >= shortestCore {
				found = append(found, core)
			}
		}
	}
	return found
}

func inner(quoted string) string { return quoted[1 : len(quoted)-1] }

// jsonForm is how JSON writers of most languages put it, with or without escapes for all but ASCII.
func jsonForm(secret string, ascii bool) string {
	var text strings.Builder
	for _, letter := range secret {
		switch {
		case letter == '"', letter == '\\':
			text.WriteByte('\\')
			text.WriteRune(letter)
		case letter == '\n':
			text.WriteString(`\n`)
		case letter == '\r':
			text.WriteString(`\r`)
		case letter == '\t':
			text.WriteString(`\t`)
		case letter == '\b':
			text.WriteString(`\b`)
		case letter == '\f':
			text.WriteString(`\f`)
		case letter < ' ':
			fmt.Fprintf(&text, `\u%04x`, letter)
		case ascii && letter > 0xffff:
			letter -= 0x10000
			fmt.Fprintf(&text, `\u%04x\u%04x`, 0xd800+letter>>10, 0xdc00+letter&0x3ff)
		case ascii && letter > '~':
			fmt.Fprintf(&text, `\u%04x`, letter)
		default:
			text.WriteRune(letter)
		}
	}
	return text.String()
}

// goJSONForm is how encoding/json puts it, which escapes what HTML gives a meaning to.
func goJSONForm(secret string) string {
	quoted, err := json.Marshal(secret)
	if err != nil {
		return secret
	}
	return inner(string(quoted))
}

// reprForm is how Python's repr puts it.
func reprForm(secret string) string {
	quote := '\''
	if strings.Contains(secret, "'") && !strings.Contains(secret, `"`) {
		quote = '"'
	}
	var text strings.Builder
	for _, letter := range secret {
		switch {
		case letter == quote, letter == '\\':
			text.WriteByte('\\')
			text.WriteRune(letter)
		case letter == '\n':
			text.WriteString(`\n`)
		case letter == '\r':
			text.WriteString(`\r`)
		case letter == '\t':
			text.WriteString(`\t`)
		case letter < ' ' || letter == 0x7f || letter > 0x7f && letter <= 0xff && !unicode.IsPrint(letter):
			fmt.Fprintf(&text, `\x%02x`, letter)
		case letter <= 0xff || unicode.IsPrint(letter):
			text.WriteRune(letter)
		case letter <= 0xffff:
			fmt.Fprintf(&text, `\u%04x`, letter)
		default:
			fmt.Fprintf(&text, `\U%08x`, letter)
		}
	}
	return text.String()
}

const (
	hexDigits  = "0123456789ABCDEF"
	unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~"
)

func percentForm(secret, safe string) string {
	var text strings.Builder
	for i := range len(secret) {
		letter := secret[i]
		if strings.IndexByte(unreserved, letter) >= 0 || strings.IndexByte(safe, letter) >= 0 {
			text.WriteByte(letter)
			continue
		}
		text.Write([]byte{'%', hexDigits[letter>>4], hexDigits[letter&15]})
	}
	return text.String()
}

func plusForm(secret string) string { return strings.ReplaceAll(percentForm(secret, " "), " ", "+") }

func lowerHex(quoted string) string {
	text := []byte(quoted)
	for i := 0; i+2 < len(text); i++ {
		if text[i] == '%' {
			copy(text[i+1:i+3], strings.ToLower(quoted[i+1:i+3]))
		}
	}
	return string(text)
}

// lines are the lines of a text, parted wherever Unicode parts them.
func lines(text string) []string {
	return strings.FieldsFunc(text, func(letter rune) bool {
		switch letter {
		case '\n', '\r', '\v', '\f', 0x1c, 0x1d, 0x1e, 0x85, 0x2028, 0x2029:
			return true
		}
		return false
	})
}

func trim(text string) string {
	return strings.TrimFunc(text, func(letter rune) bool {
		return unicode.IsSpace(letter) || letter >= 0x1c && letter <= 0x1f
	})
}

func length(text string) int { return utf8.RuneCountInString(text) }
