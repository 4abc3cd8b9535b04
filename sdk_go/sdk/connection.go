package sdk

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"crosswind.dev/go/internal/value"
)

// Connection is how to reach an outside system.
type Connection struct {
	// ID is its name.
	ID string
	// Type is its kind, such as postgres or http.
	Type string
	// Host is a host name or address.
	Host string
	// Port is 0 where it is the default of its kind.
	Port int
	// Schema is a database, bucket or path.
	Schema string
	// Login is the user's name, Password a secret.
	Login, Password string
	// Extra are further settings, a JSON object as text; a secret. Empty: none.
	Extra string
	// Description is for people.
	Description string
}

// String shows it without its secrets.
func (c Connection) String() string {
	return fmt.Sprintf("connection '%s' (%s, %s)", c.ID, c.Type, c.Host)
}

// UnmarshalExtra decodes the further settings into what pointer points to. Its error is ErrValueNotReadable, which does
// not show them.
func (c Connection) UnmarshalExtra(pointer any) error {
	extra := c.Extra
	if extra == "" {
		extra = "{}"
	}
	if err := value.DecodeSecret([]byte(extra), pointer); err != nil {
		return fmt.Errorf("the extra of connection '%s' %w", c.ID, err)
	}
	return nil
}

// URI is the connection as one URI, such as postgres://user:secret@host:5432/db?sslmode=require. Its error is
// ErrValueNotReadable: the extra is not a JSON object.
func (c Connection) URI() (string, error) {
	var extra map[string]any
	if err := c.UnmarshalExtra(&extra); err != nil {
		return "", err
	}
	uri := strings.ReplaceAll(strings.ToLower(c.Type), "_", "-") + "://"
	if c.Login != "" || c.Password != "" {
		account := escape(c.Login)
		if c.Password != "" {
			account += ":" + escape(c.Password)
		}
		uri += account + "@"
	}
	switch {
	case c.Port != 0:
		uri += net.JoinHostPort(strings.Trim(c.Host, "[]"), strconv.Itoa(c.Port))
	case strings.Contains(c.Host, ":") && !strings.Contains(c.Host, "//") && !strings.HasPrefix(c.Host, "["):
		uri += "[" + c.Host + "]" // an IPv6 address
	default:
		uri += c.Host
	}
	if c.Schema != "" {
		uri += "/" + escape(c.Schema)
	}
	if len(extra) == 0 {
		return uri, nil
	}
	query := url.Values{}
	for name, setting := range extra {
		text, isText := setting.(string)
		if !isText {
			query = url.Values{"__extra__": {c.Extra}}
			break
		}
		query.Set(name, text)
	}
	if c.Schema == "" {
		uri += "/"
	}
	return uri + "?" + query.Encode(), nil
}

func escape(text string) string {
	return strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
}
