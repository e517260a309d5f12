# make demo | test | lint: each sets itself up on first use, later runs start at once.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
SYSTEM := xvfb xauth libegl1 libgl1 libglib2.0-0 libfontconfig1 libdbus-1-3 libxkbcommon-x11-0 \
          libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxcb-shape0

# Linux without a display: the window needs Xvfb
ifeq ($(shell uname)$(DISPLAY)$(WAYLAND_DISPLAY),Linux)
SCREEN := .stamps/system
endif

.PHONY: demo test lint clean

demo: .stamps/python $(SCREEN)
ifdef SCREEN
	mkdir -p out/demo
	OMP_WAIT_POLICY=PASSIVE QT_QPA_PLATFORM=xcb xvfb-run -a -s "-screen 0 1600x1000x24" \
	  $(BIN)/python -m napari_hsimisr.demo --screenshot-dir out/demo
	@echo "No display here: screenshot and figures are in out/demo/"
else
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m napari_hsimisr.demo
endif

test: .stamps/python $(SCREEN)
	$(BIN)/pytest

lint: .stamps/python
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/npe2 validate napari-hsimisr

.stamps/python: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -c "import ensurepip" || { $(call install,$(PYTHON) $(PYTHON)-venv); }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt -e ".[all,dev]"
	@mkdir -p $(@D) && touch $@

.stamps/system:
	@{ command -v xvfb-run && /sbin/ldconfig -p | grep libxcb-cursor; } >/dev/null || { $(call install,$(SYSTEM)); }
	@mkdir -p $(@D) && touch $@

# As root, install Debian packages; otherwise print the line that does.
define install
if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
  apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(1); \
else \
  echo "System packages are missing. Run this once (or install what your system calls them), then try again:"; \
  echo "  sudo apt-get install -y --no-install-recommends $(1)"; \
  exit 1; \
fi
endef

clean:
	rm -rf .stamps out build dist
