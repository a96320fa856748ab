# make setup   install into .venv          make demo         draw people, train on them, validate, show pictures
# make test    lint, types and tests       make demo-short   the same path in a minute; the numbers mean nothing
#                                          make demo-3d      the same in space, from people seen by four cameras
#                                          make demo-faces DATA=folder   the same on photographs of faces, which you have
#                                          make test-faults  kill, cut and fill what a run depends on, for minutes
#                                          make test-slow    export every combination, build and run the wheel
PYTHON ?= python3
BIN := .venv/bin
DEMO := configs/synthetic_res18_rle.yaml
DEMO_3D := configs/synthetic_3d_res10_rle.yaml

# data/README.md says what this folder holds.
DATA ?= data/faces
FACES := $(CURDIR)/data/demo_faces

.PHONY: setup demo demo-short demo-3d demo-faces test test-faults test-slow

setup: .venv/installed

.venv/installed: requirements.txt pyproject.toml setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "rlepose needs Python 3.10 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@

demo: setup
	$(BIN)/python scripts/make_synthetic.py --out data/synthetic
	$(BIN)/python scripts/train.py --cfg $(DEMO) --name demo --overwrite
	$(BIN)/python scripts/validate.py --checkpoint exp/demo/checkpoints/best.pt

demo-short: setup
	$(BIN)/python scripts/make_synthetic.py --out data/synthetic_short --train 300 --val 40
	$(BIN)/python scripts/train.py --cfg $(DEMO) --name demo_short --overwrite \
		--set data.root=data/synthetic_short train.epochs=2 train.validate_every=1
	$(BIN)/python scripts/validate.py --checkpoint exp/demo_short/checkpoints/best.pt

demo-3d: setup
	$(BIN)/python scripts/make_synthetic_3d.py
	$(BIN)/python scripts/train.py --cfg $(DEMO_3D) --name demo_3d --overwrite
	$(BIN)/python scripts/validate.py --checkpoint exp/demo_3d/checkpoints/best.pt

demo-faces: setup
	$(BIN)/python scripts/split_dataset.py $(DATA)/annotations/faces_train.json --group-key group --out $(FACES) --overwrite
	$(BIN)/python scripts/train.py --cfg configs/faces_lite0_rle.yaml --name demo_faces --overwrite --set \
		data.root=$(DATA) data.cache_dir=$(FACES) train.epochs=20 \
		data.train_annotations=$(FACES)/faces_fit.json data.val_annotations=$(FACES)/faces_tune.json
	$(BIN)/python scripts/validate.py --checkpoint exp/demo_faces/checkpoints/best.pt --calibration --set \
		data.val_annotations=annotations/faces_val.json data.val_images=images/val

test-faults: setup
	$(BIN)/pytest tests/faults -m 'faults or not faults' --durations=10

test-slow: setup
	$(BIN)/pytest -m slow --durations=10

test: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n auto --maxprocesses 4
