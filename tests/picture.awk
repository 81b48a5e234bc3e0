# Draws the session of tests/picture as an SVG. A line's first column says
# what it is: 0 the command, 1 what muster wrote, 2 a command typed in the
# other terminal, 3 what that printed.

function escape(text) {
	gsub(/&/, "\\&amp;", text)
	gsub(/</, "\\&lt;", text)
	gsub(/>/, "\\&gt;", text)
	return text
}

# One piece of a line, in a colour.
function span(class, text) {
	return "<tspan class=\"" class "\">" escape(text) "</tspan>"
}

# A line's field: its name, then its value.
function field(text,   at) {
	at = index(text, "=")
	return span("f", substr(text, 1, at)) span("t", substr(text, at + 1))
}

# A line of muster's, coloured by its parts.
function log_line(text,   out, level, name, word) {
	if (text !~ /^[0-9][0-9][0-9][0-9]-/)
		return span("t", text)
	level = substr(text, 26, 5)
	out = span("d", substr(text, 1, 25))
	out = out span(level ~ /error/ ? "e" : level ~ /warn/ ? "w" : "i", level)
	text = substr(text, 31)
	match(text, / [a-z.]+/)
	name = substr(text, 1, RLENGTH)
	out = out span("n", name)
	text = substr(text, RLENGTH + 1)
	while (match(text, /^ [a-z]+=("[^"]*"?|[^ ]*)/)) {
		word = substr(text, 1, RLENGTH)
		text = substr(text, RLENGTH + 1)
		out = out field(word)
	}
	return out (text == "" ? "" : span("t", text))
}

function put(length_, markup, bar) {
	rows++
	width[rows] = length_
	drawn[rows] = markup
	barred[rows] = bar
}

# As a terminal does: what is too long goes on in the next line.
function put_log(text,   room, part, more) {
	while (length(text) > columns) {
		room = columns
		while (room > 60 && substr(text, room, 1) != " ")
			room--
		part = substr(text, 1, room - 1)
		put(room - 1, more ? rest_line(part) : log_line(part), 0)
		text = "                               " substr(text, room)
		more = 1
	}
	put(length(text), more ? rest_line(text) : log_line(text), 0)
}

# The second half of a line: fields alone, or the rest of a quoted value.
function rest_line(text,   out, word) {
	match(text, /^ */)
	out = span("t", substr(text, 1, RLENGTH - 1))
	text = substr(text, RLENGTH)
	while (match(text, /^ [a-z]+=("[^"]*"?|[^ ]*)/)) {
		word = substr(text, 1, RLENGTH)
		text = substr(text, RLENGTH + 1)
		out = out field(word)
	}
	return out (text == "" ? "" : span("t", text))
}

{
	kind = $1
	text = substr($0, 3)
}
kind == 0 { put(length(text) + 2, span("p", "$ ") span("c", text), 0) }
kind == 1 && text == "^C" { put(0, "", 0); put(2, span("k", "^C"), 0); next }
kind == 1 && text ~ /^\^C/ {
	put(0, "", 0)
	put(2, span("k", "^C"), 0)
	text = substr(text, 3)
}
kind == 1 { put_log(text) }
kind == 2 {
	put(0, "", 0)
	put(length(text) + 2, span("p", "$ ") span("c", text), 1)
}
kind == 3 { put(length(text), span("t", text), 1) }

END {
	cell = 7.8; line = 18; left = 22; top = 62
	w = left * 2 + columns * cell
	h = top + rows * line - 8
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" " \
	    "height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\" " \
	    "xml:space=\"preserve\">\n", w, h, w, h
	print "<title>muster in a terminal: started, used, hurt, " \
	    "reloaded, upgraded, crashed and stopped</title>"
	print "<style>"
	print "text { font: 13px ui-monospace, SFMono-Regular, Menlo, " \
	    "Consolas, \"DejaVu Sans Mono\", monospace; fill: #e6edf3; white-space: pre }"
	print ".d { fill: #6e7681 } .i { fill: #56d364 } .w { fill: #e3b341 }"
	print ".e { fill: #ff7b72; font-weight: bold } .n { fill: #79c0ff }"
	print ".f { fill: #8b949e } .t { fill: #e6edf3 } .k { fill: #ff7b72 }"
	print ".p { fill: #56d364 } .c { fill: #ffffff; font-weight: bold }"
	print ".s { fill: #8b949e }"
	print "</style>"
	printf "<rect width=\"%d\" height=\"%d\" rx=\"10\" " \
	    "fill=\"#0d1117\"/>\n", w, h
	printf "<path d=\"M0 10a10 10 0 0 1 10-10h%da10 10 0 0 1 10 10v26h" \
	    "-%dz\" fill=\"#161b22\"/>\n", w - 20, w
	split("#ff5f57 #febc2e #28c840", dot, " ")
	for (i = 1; i <= 3; i++)
		printf "<circle cx=\"%d\" cy=\"18\" r=\"6\" fill=\"%s\"/>\n",
		    4 + i * 20, dot[i]
	printf "<text class=\"s\" x=\"%d\" y=\"23\" " \
	    "text-anchor=\"middle\">muster</text>\n", w / 2
	for (i = 1; i <= rows; i++) {
		y = top + (i - 1) * line
		if (barred[i])
			printf "<rect x=\"%d\" y=\"%d\" width=\"%d\" " \
			    "height=\"%d\" fill=\"#1c2b41\"/>\n", 10, y - 13,
			    w - 20, line
		if (barred[i] && !barred[i - 1])
			printf "<text class=\"s\" x=\"%d\" y=\"%d\" " \
			    "text-anchor=\"end\">another terminal</text>\n",
			    w - left, y
		if (width[i] > 0)
			printf "<text x=\"%d\" y=\"%d\" textLength=\"%.1f\">" \
			    "%s</text>\n", left, y, width[i] * cell, drawn[i]
	}
	print "</svg>"
}
