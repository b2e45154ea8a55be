from lunaris.core import runtime, ui
from lunaris.moc.demo import build_demo

runtime.gpu(lambda: None)  # ZeroGPU starts no app without a GPU function; this one writes on the CPU
ui.launch(build_demo())
