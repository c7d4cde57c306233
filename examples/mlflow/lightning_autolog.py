"""A network trained by PyTorch Lightning, logged by autolog: a metric for each epoch, a checkpoint, and the network."""

import logging
import os
import tempfile

import lightning
import mlflow
import numpy as np
import torch
from sklearn.datasets import load_diabetes
from torch.utils.data import DataLoader, TensorDataset, random_split

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # the same numbers on every machine
lightning.seed_everything(7)
torch.set_num_threads(1)


class Network(lightning.LightningModule):
    """Two layers, and the squared error between what they say and what is so."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(10, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """One number for each row."""
        return self.layers(rows)

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> torch.Tensor:
        """The loss of a batch."""
        rows, target = batch
        loss = torch.nn.functional.mse_loss(self(rows), target)
        self.log("train_loss", loss, on_epoch=True)
        return loss

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> None:
        """The loss on rows that nothing is learnt from; autolog keeps the checkpoint that has the least."""
        rows, target = batch
        self.log("val_loss", torch.nn.functional.mse_loss(self(rows), target))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """What learns."""
        return torch.optim.Adam(self.parameters(), lr=0.05)


mlflow.set_experiment("progression-by-a-network")
mlflow.pytorch.autolog()

table, target = load_diabetes(return_X_y=True)
rows = torch.tensor(table * 20, dtype=torch.float32)
data = TensorDataset(rows, torch.tensor(target / 100, dtype=torch.float32)[:, None])
train_rows, val_rows = (DataLoader(part, batch_size=64) for part in random_split(data, [0.8, 0.2]))
network = Network()
with tempfile.TemporaryDirectory() as folder, mlflow.start_run() as run:
    trainer = lightning.Trainer(
        max_epochs=2, accelerator="cpu", default_root_dir=folder, enable_progress_bar=False, log_every_n_steps=1
    )
    trainer.fit(network, train_rows, val_rows)
    network.eval()
    example = rows[:5].numpy()
    logged = mlflow.pytorch.log_model(network, name="network", input_example=example)

client = mlflow.MlflowClient()
found = client.get_run(run.info.run_id)
print("params:", {key: found.data.params[key] for key in ("epochs", "lr", "optimizer_name")})
history = client.get_metric_history(run.info.run_id, "train_loss_epoch")
print("epochs:", [point.step for point in history], history[-1].value < history[0].value)
print("files:", sorted(file.path for file in client.list_artifacts(run.info.run_id)))
print("checkpoint:", sorted(file.path for file in client.list_artifacts(run.info.run_id, "checkpoints")))
models = mlflow.search_logged_models(filter_string=f"source_run_id = '{run.info.run_id}'", output_format="list")
best = mlflow.pytorch.load_checkpoint(Network, run.info.run_id)
print("one number for each row:", tuple(best(rows).shape))
print("models:", sorted(model.name for model in models), {str(model.status) for model in models})

version = mlflow.register_model(logged.model_uri, "progression-network")
client.set_registered_model_alias(version.name, "candidate", version.version)
said = network(rows[:5]).detach().numpy()
again = mlflow.pytorch.load_model(f"models:/{version.name}@candidate")
assert np.array_equal(again(rows[:5]).detach().numpy(), said)
print("same predictions:", mlflow.pyfunc.load_model(f"models:/{version.name}@candidate").predict(example).shape)
