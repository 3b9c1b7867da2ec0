package richtext

import "strings"

// safeURL returns address if it is relative or its scheme is one of schemes, else "".
// Browsers ignore some control characters in addresses: there must be none.
func safeURL(address string, schemes ...string) string {
	address = strings.TrimSpace(address)
	for _, r := range address {
		if r < ' ' || r == 0x7f {
			return ""
		}
	}
	end := strings.IndexAny(address, ":/?#")
	if end < 0 || address[end] != ':' {
		return address
	}
	for _, s := range schemes {
		if strings.EqualFold(address[:end], s) {
			return address
		}
	}
	return ""
}

func linkURL(address string) string { return safeURL(address, "http", "https", "mailto") }

func imageURL(address string) string { return safeURL(address, "http", "https") }
