package masking

import (
	"slices"
	"strings"
	"sync"
)

// finder replaces the longest of its texts at each place.
type finder struct{ replacer *strings.Replacer }

func (f *finder) replace(text string) string { return f.replacer.Replace(text) }

// Tasks of one DAG mostly have the same secrets, and making a finder takes longer than a short task's whole log.
const rememberedFinders = 32

var remembered = struct {
	sync.Mutex
	finders map[string]*finder
	order   []string
}{finders: map[string]*finder{}}

// compile makes the finder of sorted secrets. Nil: there are none.
func compile(secrets []string) *finder {
	if len(secrets) == 0 {
		return nil
	}
	key := strings.Join(secrets, "\x00")
	remembered.Lock()
	defer remembered.Unlock()
	if found, known := remembered.finders[key]; known {
		return found
	}
	made := makeFinder(secrets)
	if len(remembered.order) == rememberedFinders {
		delete(remembered.finders, remembered.order[0])
		remembered.order = remembered.order[1:]
	}
	remembered.finders[key] = made
	remembered.order = append(remembered.order, key)
	return made
}

func makeFinder(secrets []string) *finder {
	var texts []string
	for _, secret := range secrets {
		for _, form := range forms(secret) {
			if length(form) >= shortest {
				texts = append(texts, form)
			}
		}
	}
	slices.Sort(texts)
	texts = slices.Compact(texts)
	// Of those that fit at one place the replacer takes the one that was named first.
	slices.SortStableFunc(texts, func(first, second string) int { return len(second) - len(first) })
	pairs := make([]string, 0, 2*len(texts))
	for _, text := range texts {
		pairs = append(pairs, text, Mask)
	}
	return &finder{replacer: strings.NewReplacer(pairs...)}
}
