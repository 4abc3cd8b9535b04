package settings

import (
	"os"
	"strconv"
	"strings"
)

const (
	helpIndent  = 24
	epilog      = "Every setting may also stand in the environment, as shown, or in the [worker] table of crosswind.toml (here or in a parent folder) or ~/.config/crosswind/config.toml. A flag wins over the environment, which wins over the file. SIGTERM or Ctrl-C drains; a second one ends the running tasks. Exit codes: 0 drained, 2 wrong settings, 3 refused by the server."
	description = "Runs tasks of packed Crosswind bundles on this machine."
)

func help(definitions []setting) string {
	width := 80
	if columns, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && columns > 40 {
		width = columns - 2
	}
	var text strings.Builder
	text.WriteString("usage: " + program + " [SETTING ...]\n\n" + wrap(description, width, 0) + "\n\noptions:\n")
	entry(&text, "-h, --help", "show this help message and exit", width)
	entry(&text, "--version", "show program's version number and exit", width)
	for _, each := range definitions {
		notes := []string{each.variable()}
		if each.shown != "" {
			notes = append(notes, "default: "+each.shown)
		}
		if each.many {
			notes = append(notes, "repeatable")
		}
		heading := each.flag()
		if each.metavar != "" {
			heading += " " + each.metavar
		}
		entry(&text, heading, each.help+" ["+strings.Join(notes, "; ")+"]", width)
	}
	text.WriteString("\n" + wrap(epilog, width, 0) + "\n")
	return text.String()
}

func entry(text *strings.Builder, heading, about string, width int) {
	about = wrap(about, width-helpIndent, helpIndent)
	heading = "  " + heading
	if len(heading) < helpIndent-1 {
		text.WriteString(heading + strings.Repeat(" ", helpIndent-len(heading)) + about + "\n")
		return
	}
	text.WriteString(heading + "\n" + strings.Repeat(" ", helpIndent) + about + "\n")
}

// wrap breaks a text into lines; those after the first are indented.
func wrap(text string, width, indent int) string {
	var out strings.Builder
	length := 0
	for _, word := range strings.Fields(text) {
		switch {
		case length == 0:
		case length+1+len(word) > width:
			out.WriteString("\n" + strings.Repeat(" ", indent))
			length = 0
		default:
			out.WriteByte(' ')
			length++
		}
		out.WriteString(word)
		length += len(word)
	}
	return out.String()
}
