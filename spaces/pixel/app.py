from lunaris.core import runtime, ui
from lunaris.pixel.demo import build_demo

runtime.gpu(lambda: None)  # ZeroGPU starts no app without a GPU function; this one draws on the CPU
ui.launch(build_demo())
